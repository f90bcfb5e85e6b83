// GPU proof, in processor time of one core: products per second of the CPU engine against OpenBLAS (numpy's wheel) on the same shapes, what an
// audit costs the validator, and a key's release. `--cuda` adds the card: recorded values, 1,000 random challenges against the CPU, times of a proof that fills 95 % of its
// memory, and its share of the int8 tensor peak (--peak-tops N).

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loadAddon } from '@miner/graval/addon.ts';
import type { OgvChallenge, OgvParams } from '@miner/graval/backend.ts';
import { buildAddon } from '@miner/graval/build.ts';
import { openNative } from '@miner/graval/native.ts';
import { nativeMath } from '@miner/graval/ogv/math.ts';
import { paramsFor } from '@miner/graval/ogv/protocol.ts';
import { keyPairFrom, seal, unseal } from '@miner/graval/ogv/release.ts';
import { verifyOpening } from '@miner/graval/ogv/verify.ts';
import { checkGolden, firstDifference } from '@miner/graval/testing/vectors.ts';
import { machine } from './machine.ts';

const { values } = parseArgs({
  options: { cuda: { type: 'boolean' }, 'peak-tops': { type: 'string', default: '1979' } },
});

function print(name: string, value: number, unit: string, n: number): void {
  console.log(JSON.stringify({ name, value: Number(value.toPrecision(4)), unit, n, machine: machine() }));
}

buildAddon();
const addon = loadAddon();

const device = {
  uuid: '00'.repeat(16),
  name: 'bench',
  memory: 2 ** 34,
  processors: 1,
  clock_rate: 1,
  max_threads_per_processor: 1,
};

function challengeOf(params: OgvParams, uuid: string): OgvChallenge {
  return { seed: 42n, nonce: randomBytes(32).toString('hex'), device: uuid, params };
}

/** Seconds of processor time of this process, all threads. */
function processorSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function fillSeconds(n: number, m: number, N: number, R: number): Promise<number> {
  const session = new addon.OgvSession('cpu', 0, 1, undefined, Uint32Array.of(n, m, N, R, 1, 1, 1), 1, 2);
  const at = processorSeconds();
  await session.fill();
  const spent = processorSeconds() - at;
  session.free();
  return spent;
}

const rounds = 5;

/** m×n times n×n, as one step of the proof is, with the making of the right side: what more products of the same tiles cost. */
async function cpuProducts(n: number, m: number, N: number): Promise<void> {
  // The least of each, not of the differences: these would favour a round whose first part was disturbed.
  let [few, many] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < rounds; round++) {
    few = Math.min(few, await fillSeconds(n, m, N, 2));
    many = Math.min(many, await fillSeconds(n, m, N, 6));
  }
  print(`graval-product-${m}x${n}`, ((N - 1) * 4 * m * n * n) / (many - few) / 1e9, 'GMAC/s', rounds);
}

/** float32 products of the same shape in OpenBLAS, one thread; numpy's wheel brings it. */
function openBlas(n: number, m: number): void {
  const folder = 'native/graval/build/numpy';
  mkdirSync(folder, { recursive: true });
  const script = `
import numpy, time
a = numpy.random.rand(${m}, ${n}).astype(numpy.float32); s = numpy.random.rand(${n}, ${n}).astype(numpy.float32)
a @ s; best = 1e9
for _ in range(5):
    at = time.process_time(); a @ s; best = min(best, time.process_time() - at)
print(${m} * ${n} * ${n} / best / 1e9)`;
  const setUp = `test -x ${folder}/bin/python || (python3 -m venv ${folder} && ${folder}/bin/pip install -q numpy==2.2.6)`;
  const made = spawnSync('sh', ['-c', `${setUp} && exec ${folder}/bin/python -c "$1"`, 'sh', script], {
    encoding: 'utf8',
    env: { ...process.env, OPENBLAS_NUM_THREADS: '1' },
  });
  const value = Number(made.stdout);
  if (made.status === 0 && value > 0) print(`openblas-sgemm-${m}x${n}`, value, 'GMAC/s', 5);
  else console.error(`OpenBLAS was not measured: ${made.stderr.trim()}`);
}

const audits = {
  /** The default: 128 rows, 8 walks, one tile of 256 rows. */
  full: { rows: 128, walks: 8, tiles: 1, rowsPerTile: 256, columns: undefined },
  /** Of two rows of each of 128 tiles 8 columns of each product; README.md of native/graval compares them. */
  columns: { rows: 4, walks: 8, tiles: 128, rowsPerTile: 2, columns: 8 },
};

/** What checking an opening costs at n = 2048 and R products. */
async function audit(R: number, kind: keyof typeof audits): Promise<void> {
  const backend = openNative({ engine: 'cpu', devices: [device], threads: 1, sessionMs: 3_600_000 });
  const challenge = challengeOf({ n: 2048, m: 256, N: 64, R, W: 1024, K: 16, G: 8 }, device.uuid);
  const commit = await backend.ogv?.commit(challenge);
  const { columns, ...counts } = audits[kind];
  const queries = { auditSeed: randomBytes(32).toString('hex'), ...counts };
  const opening = commit && (await backend.ogv?.audit(commit.sessionId, queries));
  if (!commit || !opening) throw new Error('no ogv1');
  const math = nativeMath(addon);
  const asked = { challenge, device, queries, ...(columns && { columns }) };
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const at = processorSeconds();
    const verdict = verifyOpening(asked, commit, opening, math);
    best = Math.min(best, processorSeconds() - at);
    if (!verdict.ok) throw new Error(verdict.reason);
  }
  print(`ogv-verify-${kind}-r${R}`, best * 1000, 'ms', 5);
  print(`ogv-verify-${kind}-r${R}-gpus`, 60 / best, 'GPUs/min on one core', 5);
  await backend.close();
}

function release(): void {
  const pair = keyPairFrom(randomBytes(32));
  const transcript = randomBytes(32);
  const rounds = 500;
  const at = processorSeconds();
  for (let round = 0; round < rounds; round++) {
    const wire = seal('0123456789abcdef0123456789abcdef', { transcript, pkM: pair.publicKey, purpose: 'bench' });
    unseal(wire, { transcript, pair, purpose: 'bench' });
  }
  print('ogv-seal-and-release', ((processorSeconds() - at) * 1000) / rounds, 'ms', rounds);
}

async function card(): Promise<void> {
  print('cuda-golden-values', await checkGolden(addon, 'cuda'), 'values that agree', 1);
  const difference = await firstDifference(addon, 'cuda', { seed: 'bench', count: 1000 });
  if (difference) throw new Error(`the card and the CPU differ: ${JSON.stringify(difference)}`);
  print('cuda-random-vectors', 1000, 'challenges that agree with the CPU', 1);
  const backend = openNative({ engine: 'cuda' });
  for (const gpu of await backend.devices()) {
    const params = paramsFor(gpu.memory);
    const challenge = challengeOf(params, gpu.uuid);
    const commit = await backend.ogv?.commit(challenge);
    const fill = commit?.phaseMs.fill ?? Number.NaN;
    const tops = (2 * (params.N - 1) * params.R * params.m * params.n ** 2) / fill / 1e9;
    for (const [phase, ms] of Object.entries(commit?.phaseMs ?? {})) print(`cuda-${phase}`, ms, 'ms', 1);
    print('cuda-fill-tops', tops, 'Tops', 1);
    print('cuda-fill-of-int8-peak', tops / Number(values['peak-tops']), 'ratio', 1);
    if (commit) await backend.ogv?.discard(commit.sessionId);
  }
  await backend.close();
}

for (const [n, m, N] of [
  [256, 1024, 512],
  [2048, 1024, 4],
  [2048, 4096, 3],
] as const) {
  await cpuProducts(n, m, N);
  openBlas(n, m);
}
for (const R of [1, 16]) for (const kind of ['full', 'columns'] as const) await audit(R, kind);
release();
if (values.cuda) await card();
