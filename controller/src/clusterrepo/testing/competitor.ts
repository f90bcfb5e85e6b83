// A person with a clone who pushes to both branches again and again while the miner writes; pulls and tries again when refused.

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
  /** Where the clone is made. */
  clone: string;
  url: string;
  /** `user:token`. */
  credential: string;
  everyMs: number;
}

export async function startCompetitor({ clone, url, credential, everyMs }: CompetitorOptions): Promise<Competitor> {
  const [user, token] = credential.split(':');
  const env = { ...process.env, GIT_TERMINAL_PROMPT: '0', PERSON_USER: user, PERSON_TOKEN: token };
  const helper = 'credential.helper=!f() { echo username=$PERSON_USER; echo password=$PERSON_TOKEN; }; f';
  const who = ['-c', 'user.name=Person', '-c', 'user.email=person@localhost', '-c', helper];
  const git = (...args: string[]) => run('git', [...who, ...args], { env, timeout: 60_000 });
  const inClone = (...args: string[]) => git('-C', clone, ...args);
  await git('clone', '--quiet', url, clone);
  await inClone('config', 'gc.auto', '0');
  await inClone('config', 'maintenance.auto', 'false');
  const taken = { main: 0, live: 0 };
  const stopped = new AbortController();

  async function push(branch: 'main' | 'live', n: number): Promise<void> {
    let triesAfterStop = 0;
    for (;;) {
      await inClone('fetch', '--quiet', 'origin');
      await inClone('checkout', '--quiet', '-B', branch, `origin/${branch}`);
      mkdirSync(join(clone, 'notes'), { recursive: true });
      writeFileSync(join(clone, 'notes', `${n}.txt`), `note ${n}\n`);
      await inClone('add', 'notes');
      await inClone('commit', '--quiet', '-m', `note ${n}`);
      const done = await inClone('push', '--quiet', 'origin', branch).then(
        () => true,
        () => false,
      );
      if (done) {
        taken[branch] += 1;
        return;
      }
      if (stopped.signal.aborted) triesAfterStop += 1;
      if (triesAfterStop > 10) throw new Error(`${branch} takes no push, though nobody else pushes`);
    }
  }

  async function work(): Promise<void> {
    for (let n = 0; !stopped.signal.aborted; n++) {
      await push(n % 2 === 0 ? 'main' : 'live', n);
      await sleep(everyMs, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  }
  const working = work();
  return {
    async stop() {
      stopped.abort();
      await working;
      return taken;
    },
  };
}
