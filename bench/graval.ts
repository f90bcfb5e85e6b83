// GPU proof: products per second of the CPU engine against OpenBLAS (numpy's wheel) on the same shapes, what an audit costs the validator, and
// a key's release. `--cuda` adds the card: recorded values, 1,000 random challenges against the CPU, times of a proof that fills 95 % of its
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

/** m×n times n×n, as one step of the proof is. */
async function cpuProducts(n: number, m: number, N: number): Promise<void> {
  const session = new addon.OgvSession('cpu', 0, 0, undefined, Uint32Array.of(n, m, N, 4, 1, 1, 1), 1, 2);
  let startedAt = 0;
  let ms = 0;
  await session.fill((phase, done) => {
    if (phase === 'fill' && done === 1) startedAt = performance.now();
    if (phase === 'fill' && done === N) ms = performance.now() - startedAt;
  });
  session.free();
  print(`graval-fill-${m}x${n}`, ((N - 1) * 4 * m * n * n) / ms / 1e6, 'GMAC/s', (N - 1) * 4);
}

/** float32 products of the same shape in OpenBLAS, all threads; numpy's wheel brings it. */
function openBlas(n: number, m: number): void {
  const folder = 'native/graval/build/numpy';
  mkdirSync(folder, { recursive: true });
  const script = `
import numpy, time
a = numpy.random.rand(${m}, ${n}).astype(numpy.float32); s = numpy.random.rand(${n}, ${n}).astype(numpy.float32)
a @ s; best = 1e9
for _ in range(5):
    at = time.perf_counter(); a @ s; best = min(best, time.perf_counter() - at)
print(${m} * ${n} * ${n} / best / 1e9)`;
  const setUp = `test -x ${folder}/bin/python || (python3 -m venv ${folder} && ${folder}/bin/pip install -q numpy==2.2.6)`;
  const made = spawnSync('sh', ['-c', `${setUp} && exec ${folder}/bin/python -c "$1"`, 'sh', script], {
    encoding: 'utf8',
  });
  const value = Number(made.stdout);
  if (made.status === 0 && value > 0) print(`openblas-sgemm-${m}x${n}`, value, 'GMAC/s', 5);
  else console.error(`OpenBLAS was not measured: ${made.stderr.trim()}`);
}

/** The default audit at n = 2048: 128 rows, 8 walks, one tile of 256 rows. */
async function audit(): Promise<void> {
  const backend = openNative({ engine: 'cpu', devices: [device] });
  const challenge = challengeOf({ n: 2048, m: 1024, N: 16, R: 1, W: 1024, K: 16, G: 8 }, device.uuid);
  const commit = await backend.ogv?.commit(challenge);
  const queries = { auditSeed: randomBytes(32).toString('hex'), rows: 128, walks: 8, tiles: 1, rowsPerTile: 256 };
  const opening = commit && (await backend.ogv?.audit(commit.sessionId, queries));
  if (!commit || !opening) throw new Error('no ogv1');
  const math = nativeMath(addon);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const at = performance.now();
    const verdict = verifyOpening({ challenge, device, queries }, commit, opening, math);
    best = Math.min(best, performance.now() - at);
    if (!verdict.ok) throw new Error(verdict.reason);
  }
  print('ogv-verify', best, 'ms', 5);
  print('ogv-verify-gpus', 60_000 / best, 'GPUs/min on one core', 5);
  await backend.close();
}

function release(): void {
  const pair = keyPairFrom(randomBytes(32));
  const transcript = randomBytes(32);
  const rounds = 500;
  const at = performance.now();
  for (let round = 0; round < rounds; round++) {
    const wire = seal('0123456789abcdef0123456789abcdef', { transcript, pkM: pair.publicKey, purpose: 'bench' });
    unseal(wire, { transcript, pair, purpose: 'bench' });
  }
  print('ogv-seal-and-release', (performance.now() - at) / rounds, 'ms', rounds);
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
  [256, 1024, 32],
  [2048, 1024, 4],
  [2048, 4096, 3],
] as const) {
  await cpuProducts(n, m, N);
  openBlas(n, m);
}
await audit();
release();
if (values.cuda) await card();
