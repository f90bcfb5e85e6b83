// One bare repository: branch heads, objects and the making of commits. Objects are on disk before a branch names them; a branch moves
// only from the commit it was expected at. There is no work tree and no index.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MinerError, messageOf } from '../domain/errors.ts';
import { type Changes, changeTree } from './changetree.ts';
import { makeObject, type NewObject, type ObjectStore, openObjects } from './objects.ts';
import { type LockOptions, moveBranch, readBranch } from './refs.ts';
import { encodeTree, folderOid, type TreeEntries, type TreeEntry } from './trees.ts';

export interface Author {
  name: string;
  email: string;
}

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
}

export interface Repository {
  readonly gitdir: string;
  readonly objects: ObjectStore;
  /** Commit of a branch; rejects with E-GIT-REPOSITORY when it does not exist. */
  head(branch: string): Promise<string>;
  /** Root tree of a commit. */
  rootOf(commit: string): Promise<string>;
  /** First parent; undefined for the first commit. */
  parentOf(commit: string): Promise<string | undefined>;
  entry(commit: string, path: string): Promise<TreeEntry | undefined>;
  /** Entries of a folder; empty when there is no such folder. */
  folder(commit: string, path: string): Promise<TreeEntries>;
  /** One commit on top of `base`; rejects with E-GIT-CONFLICT when the branch is elsewhere, E-GIT-REPOSITORY when the disk refuses. */
  commit(request: CommitRequest): Promise<string>;
}

function encodeCommit(tree: string, parent: string | undefined, author: Author, at: number, message: string): Buffer {
  const clean = (text: string) => text.replace(/[<>\p{C}]/gu, '').trim();
  const who = `${clean(author.name)} <${clean(author.email)}> ${Math.floor(at / 1000)} +0000`;
  const parents = parent === undefined ? '' : `parent ${parent}\n`;
  return Buffer.from(`tree ${tree}\n${parents}author ${who}\ncommitter ${who}\n\n${message.replaceAll('\0', '')}`);
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

export async function openRepository(gitdir: string, author: Author, locks?: LockOptions): Promise<Repository> {
  await demandPlainLayout(gitdir);
  const objects = openObjects(gitdir);

  async function rootOf(commit: string): Promise<string> {
    const tree = /^tree ([0-9a-f]{40})\n/.exec((await objects.read(commit, 'commit')).toString('latin1'))?.[1];
    if (!tree) throw new MinerError('E-GIT-REPOSITORY', `commit ${commit} names no tree`, { detail: { commit } });
    return tree;
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

  return {
    gitdir,
    objects,
    rootOf,
    entry,
    async parentOf(commit) {
      return /^tree [0-9a-f]{40}\nparent ([0-9a-f]{40})\n/.exec(
        (await objects.read(commit, 'commit')).toString('latin1'),
      )?.[1];
    },
    async head(branch) {
      const commit = await readBranch(gitdir, branch);
      if (commit === undefined) throw new MinerError('E-GIT-REPOSITORY', `${gitdir} has no branch ${branch}`);
      return commit;
    },
    async folder(commit, path) {
      const oid = folderOid(await entry(commit, path));
      return oid ? objects.readTree(oid) : new Map();
    },
    async commit({ branch, base, changes, blobs, message, at }) {
      const made = [...blobs];
      const root = await changeTree(objects, base === undefined ? undefined : await rootOf(base), changes, made);
      const tree = root ?? makeObject('tree', encodeTree(new Map()));
      if (typeof tree !== 'string') made.push(tree);
      const oid = typeof tree === 'string' ? tree : tree.oid;
      const commit = makeObject('commit', encodeCommit(oid, base, author, at, message));
      try {
        await objects.write([...made, commit]);
        await moveBranch(gitdir, branch, base, commit.oid, locks);
      } catch (error) {
        if (error instanceof MinerError) throw error;
        throw new MinerError('E-GIT-REPOSITORY', `${gitdir} cannot be written: ${messageOf(error)}`, { cause: error });
      }
      return commit.oid;
    },
  };
}
