// Against the simulated validator, whose generator and products share no code with those of the addon.

import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkProof, encryptWith, infoAnswer, prove } from '@miner/simulator/refc1.ts';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { DeviceInfo, GravalBackend } from '../backend.ts';
import { buildAddon } from '../build.ts';
import { openBackend } from '../select.ts';

interface Context {
  backend: GravalBackend;
}

const h100: DeviceInfo = {
  uuid: '00112233445566778899aabbccddeeff',
  name: 'NVIDIA H100 80GB HBM3',
  memory: 85029158912,
  processors: 132,
  clock_rate: 1980000,
  max_threads_per_processor: 2048,
};
const gpus = [h100, { ...h100, uuid: 'ff112233445566778899aabbccddeeff' }];

const test = suite<Context>('refc1 on the CPU');
test.before((context) => {
  buildAddon();
  context.backend = openBackend({ backend: 'cpu', cpuDevices: gpus });
});
test.after(({ backend }) => backend.close());

function proverOf({ backend }: Context) {
  if (!backend.prover) throw new Error('the CPU proves by refc1');
  return backend.prover;
}

function sealed(wire: string) {
  const bytes = Buffer.from(wire, 'base64');
  return { iv: bytes.subarray(0, 16), ciphertext: bytes.subarray(16) };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (error: { code: string }) => error.code,
  );
}

test('the recorded proof comes out, and its text', async (context) => {
  const proofs = await proverOf(context).prove(42n, 2, {});
  const hashes = proofs[h100.uuid]?.work_product.intermediate_hashes;
  assert.is(hashes?.length, 16);
  assert.is(hashes?.[0], 'c97f778279cf493f3b6aacdfb81e710094c793f8aa5b848c51d6b8bf4e5d425e');
  assert.is(hashes?.[15], '4e91e6253d8b2b9e85f4d28713ec3cb2d175b7fb9489f7c34bf2e222cce6c857');
  const wire = 'AAECAwQFBgcICQoLDA0OD4Z4etWXjrr2wisruN6f/jpOE01hJi+b7+iE';
  const text = await proverOf(context).decrypt({ seed: 42n, uuid: h100.uuid, ...sealed(wire) });
  assert.is(text, 'decrypt me');
});

test('any seed and number of iterations gives what the validator computes', async (context) => {
  const seeds = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n });
  await fc.assert(
    fc.asyncProperty(seeds, fc.integer({ min: 1, max: 3 }), fc.string(), async (seed, iterations, text) => {
      const proofs = await proverOf(context).prove(seed, iterations);
      for (const gpu of gpus) {
        const work = prove(seed, iterations, gpu);
        assert.equal(proofs[gpu.uuid]?.work_product, work.workProduct);
        const input = { seed, uuid: gpu.uuid, ...sealed(encryptWith(work, text)) };
        assert.is(await proverOf(context).decrypt(input), text);
      }
    }),
    { numRuns: 8 },
  );
});

test('a proof passes the check at every spot, and device questions are answered', async (context) => {
  const proof = (await proverOf(context).prove(7n, 2))[h100.uuid]?.work_product;
  assert.ok(proof);
  for (let spot = 0; spot < 16; spot++)
    assert.ok(checkProof(h100, 7n, { iterations: 2 }, proof, { iteration: spot >> 3, index: spot % 8 }));
  for (const first of ['00', '01', '09']) {
    const challenge = first + 'ab'.repeat(31);
    assert.is(await proverOf(context).infoChallenge(challenge), infoAnswer(challenge, gpus));
  }
});

test('a text is refused for another GPU, seed or content, and before a proof', async (context) => {
  const other = openBackend({ backend: 'cpu', cpuDevices: gpus });
  const input = { seed: 7n, uuid: h100.uuid, ...sealed(encryptWith(prove(7n, 1, h100), 'text')) };
  assert.is(await codeOf(other.prover?.decrypt(input) ?? Promise.resolve()), 'NOT_PROVEN');
  await other.close();
  const prover = proverOf(context);
  await prover.prove(7n, 1);
  assert.is(await codeOf(prover.decrypt({ ...input, seed: 8n })), 'SEED_MISMATCH');
  assert.is(await codeOf(prover.decrypt({ ...input, uuid: gpus[1]?.uuid ?? '' })), 'DECRYPT_FAILED');
  assert.is(await codeOf(prover.decrypt({ ...input, uuid: 'f'.repeat(32) })), 'BAD_INPUT');
  assert.is(await codeOf(prover.decrypt({ ...input, ciphertext: input.ciphertext.subarray(1) })), 'DECRYPT_FAILED');
});

test('what cannot be proven is refused, and what takes too long or is not wanted any more ends', async (context) => {
  const prover = proverOf(context);
  assert.is(await codeOf(prover.prove(0n, 1)), 'BAD_INPUT');
  assert.is(await codeOf(prover.prove(2n ** 63n, 1)), 'BAD_INPUT');
  assert.is(await codeOf(prover.prove(1n, 11)), 'BAD_INPUT');
  assert.is(await codeOf(prover.prove(1n, 1, { signal: AbortSignal.abort() })), 'ABORTED');
  const large = openBackend({ backend: 'cpu', cpuDevices: gpus, refc1Sizes: { n: 4096, num: 64 } });
  assert.is(await codeOf(large.prover?.prove(1n, 10, { deadlineMs: 300 }) ?? Promise.resolve()), 'TIMEOUT');
  await large.close();
});

test('a part of a file is hashed exactly, and a range that leaves it is refused', async (context) => {
  const path = join(tmpdir(), `refc1-${process.pid}`);
  writeFileSync(path, 'abcdef');
  const prover = proverOf(context);
  assert.is(await prover.fsChallenge(path, 0, 3), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  for (const [offset, length] of [
    [0, 0],
    [-1, 2],
    [4, 3],
  ] as const)
    assert.is(await codeOf(prover.fsChallenge(path, offset, length)), 'BAD_INPUT');
  assert.is(await codeOf(prover.fsChallenge('/proc', 0, 1)), 'BAD_INPUT');
  assert.is(await codeOf(prover.fsChallenge('/does/not/exist', 0, 1)), 'BAD_INPUT');
});

test.run();
