// A cache of 100,000 files in 500 models of 100 chutes: the time to measure it, and to take half of them out of it.
// Prints one JSON object a line. On the disk of the temporary folder, with its entries in memory.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CleanReport, cleanCache } from '@miner/controller/cachecleaner/clean.ts';
import { openLedger } from '@miner/controller/cachecleaner/ledger.ts';
import { seededRandom, uuidFrom } from '@miner/controller/domain/random.ts';
import { machine } from './machine.ts';

const chutes = 100;
const modelsPerChute = 5;
const filesPerModel = 100;
const dayMs = 86_400_000;
const now = Date.now();

function fill(root: string): number {
  const random = seededRandom(1);
  let files = 0;
  for (let chute = 0; chute < chutes; chute++) {
    const hub = join(root, uuidFrom(random), 'hub');
    for (let n = 0; n < modelsPerChute; n++) {
      const model = join(hub, `models--org--m${n}`);
      const seconds = (now - (chute + 1) * dayMs) / 1000;
      for (const folder of ['blobs', 'snapshots/c0ffee']) mkdirSync(join(model, folder), { recursive: true });
      for (let file = 0; file < filesPerModel; file++) {
        const blob = join(model, 'blobs', `${file}`);
        writeFileSync(blob, 'x');
        utimesSync(blob, seconds, seconds);
        symlinkSync(`../../blobs/${file}`, join(model, 'snapshots/c0ffee', `${file}`));
        files += 2;
      }
    }
  }
  return files;
}

async function pass(root: string, maxBytes: number): Promise<{ ms: number; report: CleanReport }> {
  const ledger = openLedger(root, { adopt: true });
  // Everything in it was written just now, links included, and the day after tomorrow that is long ago.
  const clock = { now: () => now + 2 * dayMs };
  ledger.noteSeen(new Set(), clock.now());
  const limits = { maxBytes, minFreeBytes: 0, maxAgeMs: 1000 * dayMs };
  const started = performance.now();
  try {
    const report = await cleanCache({ ledger, limits, pinned: new Set(), timeLimitMs: 600_000, clock });
    return { ms: performance.now() - started, report };
  } finally {
    ledger.close();
  }
}

function print(name: string, value: number, unit: string, n: number): void {
  console.log(JSON.stringify({ name, value: Math.round(value), unit, n, machine: machine() }));
}

const root = mkdtempSync(join(tmpdir(), 'cache-clean-'));
try {
  const files = fill(root);
  const scan = await pass(root, Number.MAX_SAFE_INTEGER);
  print('cache-scan', scan.ms, 'ms', files);
  const half = await pass(root, scan.report.bytes / 2);
  if (!half.report.met || half.report.failures.length > 0) throw new Error(JSON.stringify(half.report.failures));
  print('cache-clean-half', half.ms, 'ms', files);
  print('cache-clean-rss', process.memoryUsage().rss / 1024 ** 2, 'MiB', files);
} finally {
  rmSync(root, { recursive: true, force: true });
}
