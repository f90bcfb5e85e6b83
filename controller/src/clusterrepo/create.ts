// Brings a bare repository into being: every step is whole or absent and is skipped when it was done, so that a crash in between is
// made good by the next start.

import { lstat, mkdir, readdir, readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { MinerError } from '../domain/errors.ts';
import { isErrno, writeRef, writeWhole } from './files.ts';
import { makeObject } from './objects.ts';
import { readBranch } from './refs.ts';
import type { Repository } from './repository.ts';

const config = `[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
[receive]
\tdenyDeletes = true
\tdenyNonFastForwards = true
`;

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw new MinerError('E-GIT-REPOSITORY', `${dir} cannot be read as a folder`, { cause: error });
  }
}

/** Make `dir` a bare repository without branches. A folder with other content is left alone: E-GIT-REPOSITORY. */
export async function ensureGitdir(dir: string): Promise<void> {
  const names = await namesIn(dir);
  const isGit = names.includes('HEAD');
  const others = names.filter((name) => name !== 'lost+found' && !name.startsWith('tmp_'));
  if (!isGit && others.length > 0) {
    throw new MinerError('E-GIT-REPOSITORY', `${dir} is neither empty nor a bare git repository`);
  }
  // HEAD first: it marks the folder as ours.
  if (!isGit) await writeWhole(join(dir, 'HEAD'), Buffer.from('ref: refs/heads/main\n'));
  for (const folder of ['objects/info', 'objects/pack', 'refs/heads', 'refs/tags']) {
    await mkdir(join(dir, folder), { recursive: true });
  }
  if (!names.includes('config')) await writeWhole(join(dir, 'config'), Buffer.from(config));
}

async function templateFiles(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) => !path.split(sep).some((part) => part === '.git' || part === 'node_modules'))
    .sort();
}

async function ensureMain(repository: Repository, template: string, at: number): Promise<void> {
  if ((await readBranch(repository.gitdir, 'main')) !== undefined) return;
  if (!(await lstat(template).catch(() => undefined))?.isDirectory()) {
    throw new MinerError(
      'E-GIT-REPOSITORY',
      `${repository.gitdir} is new and the template folder ${template} does not exist`,
    );
  }
  const changes = new Map<string, string>();
  const blobs = [];
  for (const path of await templateFiles(template)) {
    const blob = makeObject('blob', await readFile(join(template, path)));
    blobs.push(blob);
    changes.set(path.split(sep).join('/'), blob.oid);
  }
  const message = 'Start the cluster repository from its template\n';
  await repository.commit({ branch: 'main', base: undefined, changes, blobs, message, at });
}

/** Remembers, outside the branches, that `live` was here: a branch that somebody removed must not be taken for a new repository. */
const liveMarker = 'refs/miner/live';

async function markLive(gitdir: string, commit: string): Promise<void> {
  await writeRef(gitdir, liveMarker, commit);
}

export interface CreateOptions {
  template: string;
  /** Time of the first commits, ms since the Unix epoch. */
  at: number;
  /** On the git host: set with the first commit of `live`, so that its removal can be told from a new repository. */
  startTag?: { name: string /** The tag is there and the branch is not. */; isAlone(): Promise<boolean> } | undefined;
}

function removed(gitdir: string, how: string): MinerError {
  // An empty `live` would take every running deployment away.
  return new MinerError('E-GIT-REPOSITORY', `branch live of ${gitdir} was removed; ${how}`);
}

async function ensureLive(repository: Repository, { at, startTag }: CreateOptions): Promise<void> {
  const { gitdir } = repository;
  const head = await readBranch(gitdir, 'live');
  if (head !== undefined) return markLive(gitdir, head);
  const before = await readFile(join(gitdir, liveMarker), 'utf8').catch(() => undefined);
  if (before !== undefined) {
    throw removed(
      gitdir,
      `bring it back with: git -C ${gitdir} branch live ${before.trim()} (or a later commit of it)`,
    );
  }
  if (await startTag?.isAlone()) {
    throw removed(
      gitdir,
      `tag ${startTag?.name} says that it was there: push it again from another copy, or remove the tag to start with nothing deployed`,
    );
  }
  const message = 'Start with nothing deployed\n';
  const tag = startTag?.name;
  await repository.commit({ branch: 'live', base: undefined, changes: new Map(), blobs: [], message, at, tag });
  const made = await readBranch(gitdir, 'live');
  if (made !== undefined) await markLive(gitdir, made);
}

/** Somebody else may make it at the same time. */
async function unlessMade(make: () => Promise<void>): Promise<void> {
  try {
    await make();
  } catch (error) {
    if (!(error instanceof MinerError && error.code === 'E-GIT-CONFLICT')) throw error;
    await make();
  }
}

/** Branch `main` from the template's files and an empty `live`, in a repository that never had them. */
export async function ensureBranches(repository: Repository, options: CreateOptions): Promise<void> {
  await unlessMade(() => ensureMain(repository, options.template, options.at));
  await unlessMade(() => ensureLive(repository, options));
}
