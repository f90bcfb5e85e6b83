// A git host and cluster repositories on it, for the tests of this folder.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startGitHost, type TestGitHost, type TestGitHostOptions } from '../../../test/githttp.ts';
import { systemClock } from '../../domain/clock.ts';
import type { Decision } from '../../domain/decision.ts';
import type { DeploymentSpec } from '../../domain/deployment.ts';
import { MinerError } from '../../domain/errors.ts';
import { type ClusterRepoOptions, type OpenClusterRepo, openClusterRepo } from '../clusterrepo.ts';
import type { RemoteOptions } from '../remote.ts';
import { git, makeTestDir, optionsFor } from './testrepo.ts';

export interface AtHost {
  host: TestGitHost;
  /** Temporary folder. */
  dir: string;
  credentialFile: string;
  /** A cluster repository whose copy is `<name>.git`; closed in the end. */
  open(name: string, change?: Partial<ClusterRepoOptions>, remote?: Partial<RemoteOptions>): Promise<OpenClusterRepo>;
  /** A person's clone of the host's repository. */
  clone(name: string): string;
  /** What was reported, oldest first. */
  problems: string[];
}

/** Nothing happens by itself in a test. */
const never = 3_600_000;

export async function atHost(work: (at: AtHost) => Promise<void>, options: TestGitHostOptions = {}): Promise<void> {
  const host = await startGitHost(options);
  const { dir, remove } = makeTestDir();
  const credentialFile = join(dir, 'credential');
  writeFileSync(credentialFile, `${host.credential}\n`, { mode: 0o600 });
  const opened: OpenClusterRepo[] = [];
  const problems: string[] = [];
  try {
    await work({
      host,
      dir,
      credentialFile,
      problems,
      async open(name, change = {}, remote = {}) {
        const repo = await openClusterRepo({
          ...optionsFor(dir),
          dir: join(dir, `${name}.git`),
          clock: systemClock,
          remote: { url: host.url, credentialFile, everyMs: never, ...remote },
          onProblem: (problem) => problems.push(problem),
          ...change,
        });
        opened.push(repo);
        return repo;
      },
      clone(name) {
        const clone = join(dir, name);
        git(dir, 'clone', '--quiet', host.gitdir, clone);
        return clone;
      },
    });
  } finally {
    host.fault = { kind: 'none' };
    await Promise.all(opened.map((repo) => repo.close()));
    await host.stop();
    remove();
  }
}

/** Decide once on what the copy says. */
export async function commitOnce(repo: OpenClusterRepo, ...decisions: Decision[]) {
  const [main, live] = [await repo.readLastGoodMain(), await repo.readLive()];
  return repo.commitLive({ decisions, configCommit: main.commit, base: live.commit });
}

type Decide = (deployments: ReadonlyMap<string, DeploymentSpec>) => Decision[];

/** Decide again on what is there now until it is committed, as the planner does. Returns how often somebody was faster. */
export async function commitSoon(repo: OpenClusterRepo, decide: Decide): Promise<number> {
  for (let conflicts = 0; ; conflicts++) {
    const { deployments } = await repo.readLive();
    try {
      await commitOnce(repo, ...decide(deployments));
      return conflicts;
    } catch (error) {
      if (!(error instanceof MinerError && error.code === 'E-GIT-CONFLICT')) throw error;
    }
  }
}

/** The MinerError that a promise rejects with. */
export async function errorOf(promise: Promise<unknown>): Promise<MinerError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof MinerError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

/** A person's commit on a branch, pushed. */
export function pushNote(clone: string, branch: string, name: string): void {
  git(clone, 'fetch', '--quiet', 'origin');
  git(clone, 'checkout', '--quiet', '-B', branch, `origin/${branch}`);
  mkdirSync(join(clone, 'notes'), { recursive: true });
  writeFileSync(join(clone, 'notes', name), `${name}\n`);
  git(clone, 'add', '.');
  git(clone, 'commit', '--quiet', '-m', `note ${name}`);
  git(clone, 'push', '--quiet', 'origin', branch);
}

export function forget(dir: string, name: string): void {
  rmSync(join(dir, `${name}.git`), { recursive: true });
}
