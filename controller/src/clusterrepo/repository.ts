// One bare repository: branch heads, objects and the making of commits. Objects are on disk before a branch names them; a branch moves
// only from the commit it was expected at. There is no work tree and no index.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MinerError, messageOf } from '../domain/errors.ts';
import { type Changes, changeTree } from './changetree.ts';
import { type Author, type CommitParts, decodeCommit, encodeCommit, signatureLine } from './commitobject.ts';
import { makeObject, type NewObject, type ObjectStore, openObjects } from './objects.ts';
import { encodePack } from './pack.ts';
import { type BranchMove, createLocalPublisher, type Publisher } from './publish.ts';
import { createQueue, type Queue } from './queue.ts';
import { type LockOptions, readBranch } from './refs.ts';
import type { Sign } from './signature.ts';
import { encodeTree, folderOid, type TreeEntries, type TreeEntry } from './trees.ts';

export interface CommitRequest {
  branch: string;
  /** Commit the branch is expected at; undefined when the branch is to be made. */
  base: string | undefined;
  changes: Changes;
  /** The blobs that `changes` names. */
  blobs: readonly NewObject[];
  message: string;
  /** ms since the Unix epoch. */
  at: number;
  /** Name of a tag that is set to the new commit together with the branch. */
  tag?: string | undefined;
}

export interface RepositoryOptions {
  author: Author;
  locks?: LockOptions | undefined;
  /** Default: the branch in `gitdir` is the authoritative one. */
  publisher?: Publisher | undefined;
  sign?: Sign | undefined;
  /** Throws while a branch may not be used. */
  demandSafe?: ((branch: string) => void) | undefined;
  /** What shall not happen during a commit goes through the same queue. */
  alone?: Queue | undefined;
}

export interface Repository {
  readonly gitdir: string;
  readonly objects: ObjectStore;
  /** Commit of a branch; rejects with E-GIT-REPOSITORY when it does not exist. */
  head(branch: string): Promise<string>;
  /** Root tree of a commit. */
  rootOf(commit: string): Promise<string>;
  /** Tree, parents, author, committer and message of a commit. */
  commitAt(commit: string): Promise<CommitParts>;
  /** First parent; undefined for the first commit, and where the history that was fetched ends. */
  parentOf(commit: string): Promise<string | undefined>;
  entry(commit: string, path: string): Promise<TreeEntry | undefined>;
  /** Entries of a folder; empty when there is no such folder. */
  folder(commit: string, path: string): Promise<TreeEntries>;
  /** One commit on top of `base`; rejects with E-GIT-CONFLICT when the branch is elsewhere, E-GIT-REPOSITORY when the disk refuses. */
  commit(request: CommitRequest): Promise<string>;
  /**
   * Make `branch` one commit on top of `base`, wherever it was before, or `base` itself when nothing changes. A branch that has that tree
   * on that base already stays as it is. Resolves with its commit; rejects like `commit`.
   */
  replace(request: CommitRequest & { base: string }): Promise<string>;
  /** Run something while no commit is being made. */
  alone: Queue;
  /** Compare-and-swap of the authoritative branch, from within `alone`; rejects like `commit`. */
  publish(objects: readonly NewObject[], move: BranchMove): Promise<void>;
  /** Bytes of a commit, signed when a key is configured. */
  makeCommit(parts: CommitParts): Promise<NewObject>;
}

function once<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** `extensions.*` change how refs and objects are stored; git only promises the plain layout without them. */
async function demandPlainLayout(gitdir: string): Promise<void> {
  const config = await readFile(join(gitdir, 'config'), 'utf8').catch(() => '');
  const extension = /^\s*(refStorage|objectFormat)\s*=\s*(reftable|sha256)/im.exec(config);
  if (!extension) return;
  throw new MinerError(
    'E-GIT-REPOSITORY',
    `${gitdir} uses ${extension[2]}; only the files layout with SHA-1 is supported`,
  );
}

export async function openRepository(gitdir: string, options: RepositoryOptions): Promise<Repository> {
  await demandPlainLayout(gitdir);
  const objects = openObjects(gitdir);
  const { author, locks, sign, alone = createQueue() } = options;
  const publisher = options.publisher ?? createLocalPublisher(gitdir, locks);

  async function commitAt(commit: string): Promise<CommitParts> {
    return decodeCommit(commit, await objects.read(commit, 'commit'));
  }

  async function rootOf(commit: string): Promise<string> {
    return (await commitAt(commit)).tree;
  }

  async function entry(commit: string, path: string): Promise<TreeEntry | undefined> {
    let found: TreeEntry | undefined = { mode: '40000', oid: await rootOf(commit) };
    for (const name of path.split('/')) {
      const oid = folderOid(found);
      if (!oid) return undefined;
      found = (await objects.readTree(oid)).get(name);
    }
    return found;
  }

  async function isShallow(commit: string): Promise<boolean> {
    return (await readFile(join(gitdir, 'shallow'), 'utf8').catch(() => '')).includes(commit);
  }

  async function makeCommit(parts: CommitParts): Promise<NewObject> {
    return makeObject('commit', await encodeCommit(parts, sign));
  }

  async function publish(made: readonly NewObject[], move: BranchMove): Promise<void> {
    try {
      const encoded = once(() => encodePack(made));
      await objects.write(made, encoded);
      await publisher.publish(move, () => encoded().pack);
    } catch (error) {
      if (error instanceof MinerError) throw error;
      throw new MinerError('E-GIT-REPOSITORY', `${gitdir} cannot be written: ${messageOf(error)}`, { cause: error });
    }
  }

  /** The tree of `base` with the changes, and the objects it needs. */
  async function treeOn({ base, changes, blobs }: CommitRequest): Promise<{ oid: string; made: NewObject[] }> {
    const made = [...blobs];
    const root = await changeTree(objects, base === undefined ? undefined : await rootOf(base), changes, made);
    const tree = root ?? makeObject('tree', encodeTree(new Map()));
    if (typeof tree !== 'string') made.push(tree);
    return { oid: typeof tree === 'string' ? tree : tree.oid, made };
  }

  function commitOn({ base, message, at }: CommitRequest, tree: string): Promise<NewObject> {
    const who = signatureLine(author, at);
    return makeCommit({ tree, parents: base === undefined ? [] : [base], author: who, committer: who, message });
  }

  async function commit(request: CommitRequest): Promise<string> {
    const { branch, base, tag } = request;
    const { oid, made } = await treeOn(request);
    const next = await commitOn(request, oid);
    const named = tag === undefined ? undefined : { name: tag, commit: next.oid };
    await publish([...made, next], { branch, expected: base, next: next.oid, tag: named });
    return next.oid;
  }

  async function replace(request: CommitRequest & { base: string }): Promise<string> {
    const { branch, base } = request;
    const before = await readBranch(gitdir, branch);
    const { oid, made } = await treeOn(request);
    const move = { branch, expected: before, replaces: true };
    if (oid === (await rootOf(base))) {
      if (before !== base) await publish([], { ...move, next: base });
      return base;
    }
    const known = before === undefined ? undefined : await commitAt(before);
    if (before !== undefined && known?.tree === oid && known.parents.join() === base) return before;
    const next = await commitOn(request, oid);
    await publish([...made, next], { ...move, next: next.oid });
    return next.oid;
  }

  return {
    gitdir,
    objects,
    rootOf,
    entry,
    commitAt,
    alone,
    publish,
    makeCommit,
    async parentOf(oid) {
      const [parent] = (await commitAt(oid)).parents;
      return parent === undefined || (await isShallow(oid)) ? undefined : parent;
    },
    async head(branch) {
      options.demandSafe?.(branch);
      const found = await readBranch(gitdir, branch);
      if (found === undefined) throw new MinerError('E-GIT-REPOSITORY', `${gitdir} has no branch ${branch}`);
      return found;
    },
    async folder(oid, path) {
      const folder = folderOid(await entry(oid, path));
      return folder ? objects.readTree(folder) : new Map();
    },
    commit: (request) => alone(() => commit(request)),
    replace: (request) => alone(() => replace(request)),
  };
}
