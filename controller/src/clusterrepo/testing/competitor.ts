// Two people, one for each branch, who push again and again while the miner writes; they pull and try again when refused.

import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Competitor {
  /** Pushes that were taken, by branch. Call it when the load has ended: the one in progress is tried until it is taken. */
  stop(): Promise<Record<'main' | 'live', number>>;
}

export interface CompetitorOptions {
  /** Where the clones are made: the branch is added to the name. */
  clone: string;
  url: string;
  /** `user:token`. */
  credential: string;
  everyMs: number;
}

const branches = ['main', 'live'] as const;

export async function startCompetitor(options: CompetitorOptions): Promise<Competitor> {
  const stopped = new AbortController();
  const people = await Promise.all(branches.map((branch) => startPerson(branch, options, stopped.signal)));
  return {
    async stop() {
      stopped.abort();
      const [main, live] = await Promise.all(people.map(({ ended }) => ended));
      return { main: main ?? 0, live: live ?? 0 };
    },
  };
}

/** `ended` tells how many of the pushes were taken. */
async function startPerson(
  branch: (typeof branches)[number],
  { clone, url, credential, everyMs }: CompetitorOptions,
  stopped: AbortSignal,
): Promise<{ ended: Promise<number> }> {
  const [user, token] = credential.split(':');
  const env = { ...process.env, GIT_TERMINAL_PROMPT: '0', PERSON_USER: user, PERSON_TOKEN: token };
  const helper = 'credential.helper=!f() { echo username=$PERSON_USER; echo password=$PERSON_TOKEN; }; f';
  const who = ['-c', 'user.name=Person', '-c', 'user.email=person@localhost', '-c', helper];
  const dir = `${clone}-${branch}`;
  const git = (...args: string[]) => run('git', [...who, ...args], { env, timeout: 60_000 });
  const inClone = (...args: string[]) => git('-C', dir, ...args);
  await git('clone', '--quiet', '--single-branch', '--branch', branch, url, dir);
  await inClone('config', 'gc.auto', '0');
  await inClone('config', 'maintenance.auto', 'false');

  async function push(n: number): Promise<void> {
    let triesAfterStop = 0;
    for (;;) {
      await inClone('fetch', '--quiet', 'origin');
      await inClone('reset', '--quiet', '--hard', `origin/${branch}`);
      mkdirSync(join(dir, 'notes'), { recursive: true });
      writeFileSync(join(dir, 'notes', `${branch}-${n}.txt`), `note ${n}\n`);
      await inClone('add', 'notes');
      await inClone('commit', '--quiet', '-m', `note ${n}`);
      const taken = await inClone('push', '--quiet', 'origin', branch).then(
        () => true,
        () => false,
      );
      if (taken) return;
      if (stopped.aborted) triesAfterStop += 1;
      if (triesAfterStop > 10) throw new Error(`${branch} takes no push, though nobody else pushes`);
    }
  }

  async function work(): Promise<number> {
    let taken = 0;
    while (!stopped.aborted) {
      await push(taken);
      taken += 1;
      await sleep(everyMs, undefined, { signal: stopped }).catch(() => undefined);
    }
    return taken;
  }
  return { ended: work() };
}
