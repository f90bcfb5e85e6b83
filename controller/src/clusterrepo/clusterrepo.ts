// The cluster repository: a bare git repository with branch `main` (people) and branch `live` (machine). Several processes and any
// `git push` may use it at the same time; with `remote` it is a copy of one process, and the git host's branches are the ones that count.

import type { Clock } from '../domain/clock.ts';
import type { ServerConfig } from '../domain/config.ts';
import type { ClusterRepo, MainTree, RemoteHealth, Rerendered, TreeRenderer } from '../domain/ports.ts';
import type { Author } from './commitobject.ts';
import { type Connection, connectRemote } from './connect.ts';
import { ensureBranches, ensureGitdir } from './create.ts';
import { guardTree } from './guard.ts';
import { type LiveOptions, openLiveBranch } from './livebranch.ts';
import { openMainBranch } from './mainbranch.ts';
import { movedFolders } from './movedfolders.ts';
import { openGitProgram } from './program.ts';
import type { LockOptions } from './refs.ts';
import type { RemoteOptions } from './remote.ts';
import { openRepository, type Repository } from './repository.ts';
import { createRerender } from './rerender.ts';
import { createSign, type SigningOptions } from './signature.ts';
import { type Squashed, squashLive } from './squash.ts';
import { createUpkeep, type Upkeep } from './upkeep.ts';

export interface ClusterRepoOptions {
  /** The bare repository itself; made when it does not exist or is an empty folder. */
  dir: string;
  /** Folder whose files become the first commit of `main`; only read when the repository is new. */
  template: string;
  render: LiveOptions['render'];
  lookup: LiveOptions['lookup'];
  /** Renders what follows from `main` alone; nothing by default. */
  renderTree?: TreeRenderer | undefined;
  /** Default: the rules of guard.ts. */
  guard?: typeof guardTree | undefined;
  author?: Author | undefined;
  clock: Clock;
  /** Called once for every file on `live` that cannot be read or breaks a rule by itself. */
  onBadFile?: ((path: string, problem: string) => void) | undefined;
  locks?: LockOptions | undefined;
  /** The git host that the repository lives on; `dir` is then a copy that nobody else uses. */
  remote?: RemoteOptions | undefined;
  /** Commits are signed with this key. */
  signing?: SigningOptions | undefined;
  /** Something a person should read: the remote is away, history was replaced. Once for each. */
  onProblem?: ((problem: string) => void) | undefined;
  /** A branch was moved by somebody else, as a look at the remote showed. */
  onMoved?: (() => void) | undefined;
}

export interface OpenClusterRepo extends ClusterRepo {
  /**
   * Render anew what follows from `main` and commit what differs; undefined when `mayWrite` said no before the commit. Rejects with
   * E-GUARD when a file may not be on `live`, else like a commit.
   */
  rerender(main: MainTree, mayWrite?: () => boolean): Promise<Rerendered | undefined>;
  /**
   * Folders of `live` that differ between two commits: `argocd`, `control`, `chutes/<server>`, `members/<server>`; without `from`, what the
   * newest commit alone has changed.
   */
  movedFolders(from: string | undefined, to: string): Promise<string[]>;
  /** Files of servers on `main`, in one commit. Rejects with E-CONFIG when one is there and says something else, else like a commit. */
  addServers(servers: readonly ServerConfig[]): Promise<string>;
  /** Whether the remote answers and may be written; undefined without one. */
  health(): RemoteHealth | undefined;
  /** Look at the remote now; rejects with E-GIT-REPOSITORY when it does not answer. Nothing to do without a remote. */
  refresh(): Promise<void>;
  /** Commits of `live` older than that become one, and the store is cleaned; undefined when there are none. Rejects like a commit. */
  squash(options: { olderThanMs: number }): Promise<Squashed | undefined>;
  /** Pack the store when it has many files; true when it did. With a remote it is called by itself. */
  tidy(): Promise<boolean>;
  /** Ends following the remote; resolves when a push in progress has ended. */
  close(): Promise<void>;
}

const defaultAuthor: Author = { name: 'gepetto', email: 'gepetto@localhost' };
/** Looks at the remote between two counts of the store's files. */
const looksPerTidy = 30;
const localTimeoutMs = 60_000;

function tidySometimes(upkeep: Upkeep): () => Promise<void> {
  let looks = 0;
  return async () => {
    looks += 1;
    if (looks % looksPerTidy === 0) await upkeep.tidy();
  };
}

async function connect(options: ClusterRepoOptions): Promise<Connection | undefined> {
  const { dir: gitdir, remote, clock, locks, onProblem = () => undefined, onMoved = () => undefined } = options;
  return remote && connectRemote({ gitdir, remote, clock, locks, onProblem, onMoved });
}

function openBare(options: ClusterRepoOptions, connection: Connection | undefined): Promise<Repository> {
  return openRepository(options.dir, {
    author: options.author ?? defaultAuthor,
    locks: options.locks,
    publisher: connection?.publisher,
    alone: connection?.alone,
    demandSafe: connection?.follower.demandSafe,
    sign: options.signing && createSign(options.signing),
  });
}

/**
 * Rejects with E-GIT-REPOSITORY when `dir` holds something else than a bare repository that can be used, or the remote does not answer
 * and there is no copy of it; with E-USAGE when the remote's options are wrong.
 */
export async function openClusterRepo(options: ClusterRepoOptions): Promise<OpenClusterRepo> {
  const { dir, template, render, lookup, clock, onBadFile } = options;
  await ensureGitdir(dir);
  const connection = await connect(options);
  const repository = await openBare(options, connection);
  await ensureBranches(repository, { template, at: clock.now(), startTag: connection?.startTag });
  const main = openMainBranch(repository, clock);
  const live = openLiveBranch(repository, {
    render,
    lookup,
    clock,
    onBadFile,
    guard: options.guard ?? guardTree,
    mainAt: main.readAt,
  });
  const git = openGitProgram(dir, localTimeoutMs);
  const upkeep = createUpkeep({ git, alone: repository.alone, own: connection !== undefined });
  connection?.start(tidySometimes(upkeep));
  return {
    readMain: main.read,
    readLastGoodMain: main.readLastGood,
    writeServer: main.writeServer,
    addServers: main.addServers,
    removeServer: main.removeServer,
    readLive: live.read,
    commitLive: live.commit,
    propose: live.propose,
    rerender: createRerender(repository, { render, lookup, renderTree: options.renderTree, clock }),
    movedFolders: (from, to) => movedFolders(repository, from, to),
    tidy: upkeep.tidy,
    health: () => connection?.health(),
    async refresh() {
      await connection?.refresh();
    },
    async squash({ olderThanMs }) {
      const deepen = connection && (() => repository.alone(connection.follower.deepen));
      const author = options.author ?? defaultAuthor;
      const squashed = await squashLive({ repository, author, deepen }, clock.now() - olderThanMs);
      if (squashed) await upkeep.clean();
      return squashed;
    },
    async close() {
      await connection?.close();
    },
  };
}
