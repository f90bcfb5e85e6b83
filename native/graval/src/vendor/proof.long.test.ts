// The whole exchange with the vendor's libraries on pocl: a miner process proves, a validator process encrypts and checks. Minutes of
// processor time: `npm run graval:vendor`. GRAVAL_PRODUCT=real takes CLBlast itself: the same bits, much slower.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type GpuProof, GravalError, type Sealed } from '../backend.ts';
import { buildAddon } from '../build.ts';
import { vendorHost } from '../testing/vendorhost.ts';
import { openVendor, openVendorVerifier } from './backend.ts';

buildAddon();
const { miner, validator, environment } = vendorHost({
  product: process.env.GRAVAL_PRODUCT === 'real' ? 'real' : 'fast',
});

function minerWith(changed: Record<string, string> = {}) {
  const backend = openVendor({ library: miner, environment: { ...environment, ...changed } });
  if (!backend.prover) throw new Error('no prover');
  return { ...backend, prover: backend.prover };
}

const proving = minerWith();
const checking = openVendorVerifier({ library: validator, environment });
const seed = 2n ** 63n - 1n;
const text = 'decrypt me please: grüße';

const [device] = await proving.devices();
if (!device) throw new Error('no device');
const { uuid } = device;
let proof: GpuProof | undefined;
let sealed: Sealed | undefined;

async function codeOf(work: Promise<string>): Promise<string> {
  const outcome = await work.catch((error: unknown) => error);
  // A cipher without authentication may give another text: only the true one would be wrong.
  return outcome instanceof GravalError ? outcome.code : outcome === text ? 'decrypted' : 'garbage';
}

test('what a validator encrypts for a record, the GPU of that record decrypts after its proof', async () => {
  // One after the other: each takes all cores and gigabytes of memory.
  proof = (await proving.prover.prove(seed, 1))[uuid];
  sealed = await checking.encrypt(device, text, 1, seed);
  assert.is(sealed.seed, seed);
  assert.is(proof?.work_product.intermediate_hashes.length, proof?.work_product.num_matrices);
  assert.is(await proving.prover.decrypt({ ...sealed, uuid }), text);
});

test('an altered text, another seed, an unknown GPU and the text for another GPU give no plaintext', async () => {
  if (!sealed || !device) throw new Error('nothing was encrypted');
  const { prover } = proving;
  const flipped = Uint8Array.from(sealed.ciphertext, (byte, at) => (at === 0 ? byte ^ 1 : byte));
  assert.is.not(await codeOf(prover.decrypt({ ...sealed, uuid, ciphertext: flipped })), 'decrypted');
  assert.is(await codeOf(prover.decrypt({ ...sealed, uuid, seed: seed - 1n })), 'SEED_MISMATCH');
  assert.is(await codeOf(prover.decrypt({ ...sealed, uuid: 'ff'.repeat(16) })), 'BAD_INPUT');
  const others = await checking.encrypt({ ...device, uuid: 'ff'.repeat(16) }, text, 1, seed);
  assert.is(await codeOf(prover.decrypt({ ...others, uuid })), 'DECRYPT_FAILED');
});

test('every hash that was flipped is found by its index, and by the index 0 with which the library chooses', async () => {
  if (!proof) throw new Error('nothing was proven');
  const product = proof.work_product;
  const flipped = {
    ...product,
    intermediate_hashes: product.intermediate_hashes.map((hash) => `${hash[0] === '0' ? '1' : '0'}${hash.slice(1)}`),
  };
  assert.is(await checking.checkProof(device, seed, product, { index: 1, iteration: 0 }), true);
  for (const index of [1, 0])
    assert.is(await checking.checkProof(device, seed, flipped, { index, iteration: 0 }), false, `index ${index}`);
});

test('a driver that works out of order gives a proof that looks like one, with other hashes, and no plaintext', async () => {
  if (!proof || !sealed) throw new Error('nothing was proven');
  // Its memory is needed.
  await proving.close();
  const hasty = minerWith({ GRAVAL_SHIM_WITHOUT: 'order' });
  try {
    const made = (await hasty.prover.prove(seed, 1))[uuid]?.work_product;
    assert.is(made?.num_matrices, proof.work_product.num_matrices);
    assert.is.not(made?.intermediate_hashes.join(), proof.work_product.intermediate_hashes.join());
    assert.is(await codeOf(hasty.prover.decrypt({ ...sealed, uuid })), 'DECRYPT_FAILED');
  } finally {
    await hasty.close();
  }
});

test.after(async () => {
  await proving.close();
  await checking.close();
});

test.run();
