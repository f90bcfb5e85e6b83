// A made-up cache in a temporary folder, in the layout that Hugging Face's library leaves there.

import {
  existsSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type CleanOptions, type CleanReport, cleanCache } from '../clean.ts';
import { openLedger } from '../ledger.ts';

export const day = 86_400_000;
export const now = Date.UTC(2026, 10, 22);
export const kb = 1024;
export const [running, idle, other] = [1, 2, 3].map((n) => `${n}0000000-0000-4000-8000-000000000000`) as [
  string,
  string,
  string,
];

export interface Tree {
  root: string;
  /** Beside the cache, where nothing may be touched. */
  outside: string;
  at(...path: string[]): string;
  has(...path: string[]): boolean;
  /** Of `size` bytes, last written so many days ago. */
  file(path: string, size: number, daysAgo?: number): string;
  /** One blob, a snapshot with a link to it, and a ref. */
  model(chuteId: string, name: string, size: number, daysAgo: number): void;
  /** Sets the time of everything below. */
  age(path: string, daysAgo: number): void;
  /** One pass in which `inUse` were just seen on the node; undefined: nobody looked. */
  clean(options?: Partial<CleanOptions['limits']> & Scene): Promise<CleanReport>;
  remove(): void;
}

interface Scene extends Partial<CleanOptions> {
  inUse?: string[] | undefined;
  dryRun?: boolean;
}

export function makeTree(): Tree {
  const base = mkdtempSync(join(tmpdir(), 'cache-'));
  const root = join(base, 'cache');
  const outside = join(base, 'outside');
  const at = (...path: string[]) => join(root, ...path);
  for (const folder of [root, outside, at(running), at(idle), at(other)]) mkdirSync(folder);

  function age(path: string, daysAgo: number): void {
    const seconds = (now - daysAgo * day) / 1000;
    for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
      lutimesSync(join(entry.parentPath, entry.name), seconds, seconds);
    }
    utimesSync(path, seconds, seconds);
  }

  function file(path: string, size: number, daysAgo = 0): string {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, Buffer.alloc(size, 1));
    const seconds = (now - daysAgo * day) / 1000;
    utimesSync(path, seconds, seconds);
    return path;
  }

  function model(chuteId: string, name: string, size: number, daysAgo: number): void {
    const folder = at(chuteId, 'hub', `models--${name.replace('/', '--')}`);
    file(join(folder, 'blobs', 'b10b'), size);
    file(join(folder, 'refs', 'main'), 40);
    mkdirSync(join(folder, 'snapshots', 'c0ffee'), { recursive: true });
    symlinkSync('../../blobs/b10b', join(folder, 'snapshots', 'c0ffee', 'model.safetensors'));
    age(folder, daysAgo);
  }

  async function clean(options: Parameters<Tree['clean']>[0] = {}): Promise<CleanReport> {
    const { maxBytes = 1e12, minFreeBytes = 0, maxAgeMs = 30 * day, dryRun = false, ...rest } = options;
    const ledger = openLedger(root, { dryRun });
    const inUse = 'inUse' in options ? options.inUse : [running];
    if (inUse) ledger.noteSeen(new Set(inUse), now);
    const limits = { maxBytes, minFreeBytes, maxAgeMs };
    const fixed = { ledger, limits, pinned: new Set<string>(), timeLimitMs: 60_000, clock: { now: () => now } };
    try {
      return await cleanCache({ freeBytes: () => 1e12, ...fixed, ...rest });
    } finally {
      ledger.close();
    }
  }

  return {
    root,
    outside,
    at,
    has: (...path) => existsSync(at(...path)),
    file,
    model,
    age,
    clean,
    remove: () => rmSync(base, { recursive: true, force: true }),
  };
}

/** Names of what went, in the order in which it went. */
export function namesOf(report: { removed: { name: string }[] }): string[] {
  return report.removed.map(({ name }) => name);
}
