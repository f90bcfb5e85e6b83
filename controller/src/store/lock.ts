// One process at a time, by claims: files whose names tell pid and start time. A claim holds when, after it was made, no other living
// one is there; dead ones are ignored, so killed processes need no clean-up. For one machine, not for folders shared over a network.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MinerError } from '../domain/errors.ts';

interface Claim {
  name: string;
  pid: number;
  /** Start of the process in ticks since boot; empty where the system does not tell. */
  started: string;
}

const attempts = 8;
/** The claims of this process, for systems that do not tell start times. */
const ours = new Set<string>();

/** State and start time from /proc; undefined where there is none (not Linux, or no such process). */
function procStat(pid: number): { state: string; started: string } | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
    return { state: fields[0] ?? '', started: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it exists and belongs to somebody else.
    return codeOf(error) === 'EPERM';
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

function isAlive({ name, pid, started }: Claim): boolean {
  if (ours.has(name)) return true;
  if (!exists(pid)) return false;
  const stat = procStat(pid);
  if (!stat || started === '') return pid !== process.pid;
  return stat.state !== 'Z' && stat.started === started;
}

function parseClaim(name: string): Claim | undefined {
  const match = /^(\d{1,9})-(\d*)-[0-9a-f-]{36}$/.exec(name);
  return match ? { name, pid: Number(match[1]), started: match[2] ?? '' } : undefined;
}

/** Living claims besides `own`; dead ones are removed, which is safe because no name is used twice. */
async function rivals(folder: string, own: string): Promise<Claim[]> {
  const found = (await readdir(folder)).map(parseClaim).filter((claim) => claim !== undefined);
  const others = found.filter((claim) => claim.name !== own);
  const living = others.filter(isAlive);
  for (const dead of others.filter((claim) => !living.includes(claim)))
    await rm(join(folder, dead.name), { force: true });
  return living;
}

async function claim(folder: string, name: string): Promise<void> {
  ours.add(name);
  for (;;) {
    await mkdir(folder, { recursive: true });
    try {
      return await writeFile(join(folder, name), '');
    } catch (error) {
      // Whoever left last has just removed the folder.
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  }
}

async function withdraw(folder: string, name: string): Promise<void> {
  await rm(join(folder, name), { force: true });
  ours.delete(name);
  await rmdir(folder).catch(() => undefined);
}

/** Takes the lock, a folder of claims; the function returned gives it back. Rejects with E-IN-USE, naming the holder's pid. */
export async function takeLock(folder: string): Promise<() => Promise<void>> {
  const name = `${process.pid}-${procStat(process.pid)?.started ?? ''}-${randomUUID()}`;
  for (let attempt = 1; ; attempt++) {
    await claim(folder, name);
    const living = await rivals(folder, name);
    const [rival] = living;
    if (!rival) return () => withdraw(folder, name);
    // Of several who come at once the first by name stays and the others step back, so that one of them gets it.
    const last = attempt === attempts;
    if (last || living.some((other) => other.name < name)) await withdraw(folder, name);
    if (last) {
      const what = folder.replace(/\.lock$/, '');
      throw new MinerError('E-IN-USE', `${what} is in use by process ${rival.pid}`, { detail: { pid: rival.pid } });
    }
    await sleep(5 + Math.random() * 10 * attempt);
  }
}
