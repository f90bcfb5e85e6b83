// Kills a writer again and again at random moments, while people push, and lets each next one go on. In the end the history of `live` must
// be one that the journal allows, git must find no fault, and nothing half-written may be left.

import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startCompetitor } from './competitor.ts';
import { historyProblems, readJournal } from './journal.ts';
import { git } from './testrepo.ts';
import { storeName, type WriterJob } from './writer.ts';

export interface KillingOptions {
  /** Holds the template; see `WriterJob`. */
  dir: string;
  host: { url: string; credential: string; gitdir: string };
  credentialFile: string;
  kills: number;
  decisionsPerSecond: number;
  /** After each kill, with the number of them so far. */
  onKill?: (kills: number) => void;
}

export interface KillingResult {
  asked: number;
  acknowledged: number;
  /** Kills before the writer was open. */
  earlyKills: number;
  problems: string[];
}

const longestLife = 2_500;
const lastLife = 3_000;
const readyWithin = 60_000;

interface Running {
  child: ChildProcess;
  /** False when it ended before it was open, or is not open after a minute. */
  ready: Promise<boolean>;
  ended: Promise<number | null>;
  said(): string;
}

function start(job: WriterJob): Running {
  const program = join(import.meta.dirname, 'writer.ts');
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, JSON.stringify(job)]);
  let text = '';
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk;
  });
  const ready = Promise.race([
    new Promise<boolean>((resolve) => child.stdout.once('data', () => resolve(true))),
    ended.then(() => false),
    sleep(readyWithin, false, { ref: false }),
  ]);
  return { child, ready, ended, said: () => text };
}

/** Locks and temporary files that no running writer needs. */
function remainsIn(gitdir: string): string[] {
  return readdirSync(gitdir, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.lock$|(^|\/)\.?tmp[_-]/.test(name),
  );
}

function faultsIn(gitdir: string): string[] {
  try {
    return [git(gitdir, 'fsck', '--strict', '--full', '--no-dangling')].filter((text) => text !== '');
  } catch (error) {
    return [String(error)];
  }
}

export async function killAgainAndAgain(options: KillingOptions): Promise<KillingResult> {
  const { dir, host, credentialFile, kills, decisionsPerSecond, onKill } = options;
  const job: WriterJob = { dir, url: host.url, credentialFile, forMs: 3_600_000, decisionsPerSecond };
  const store = join(dir, storeName);
  const problems: string[] = [];
  // The first one makes the branches.
  const first = start({ ...job, forMs: 0 });
  if ((await first.ended) !== 0) problems.push(first.said());
  const competitor = await startCompetitor({ ...host, clone: join(dir, 'person'), everyMs: 2_000 });
  let earlyKills = 0;
  for (let n = 0; n < kills; n++) {
    const writer = start(job);
    const isOpen = n % 5 !== 4 && (await writer.ready);
    if (!isOpen) earlyKills += 1;
    await sleep(Math.random() * longestLife);
    if (writer.child.exitCode !== null) problems.push(`writer ${n} ended by itself: ${writer.said()}`);
    writer.child.kill('SIGKILL');
    await writer.ended;
    if (n % 10 === 9) problems.push(...faultsIn(store));
    onKill?.(n + 1);
  }
  const last = start({ ...job, forMs: lastLife });
  if ((await last.ended) !== 0) problems.push(`the last writer failed: ${last.said()}`);
  await competitor.stop();
  const recorded = readJournal(join(dir, 'journal'));
  problems.push(...historyProblems(host.gitdir, recorded), ...faultsIn(store), ...faultsIn(host.gitdir));
  problems.push(...remainsIn(store).map((name) => `${name} was left behind`));
  return { asked: recorded.asked.size, acknowledged: recorded.landed.size, earlyKills, problems };
}
