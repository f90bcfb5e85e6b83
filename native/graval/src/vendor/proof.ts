// The whole exchange with the vendor's libraries on pocl: a miner process proves, a validator process encrypts and checks. Minutes on two
// cores, so no test of every run: `npm run graval:vendor`. GRAVAL_PRODUCT=real takes CLBlast itself: the same bits, much slower.

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
const proving = openVendor({ library: miner, environment });
const checking = openVendorVerifier({ library: validator, environment });
const prover = proving.prover;
if (!prover) throw new Error('no prover');
const seed = 2n ** 63n - 1n;
const text = 'decrypt me please: grüße';

const [device] = await proving.devices();
if (!device) throw new Error('no device');
let proof: GpuProof | undefined;
let sealed: Sealed | undefined;

test('what a validator encrypts for a record, the GPU of that record decrypts after its proof', async () => {
  const proofs = prover.prove(seed, 1);
  sealed = await checking.encrypt(device, text, 1, seed);
  proof = (await proofs)[device.uuid];
  assert.is(sealed.seed, seed);
  assert.is(proof?.work_product.intermediate_hashes.length, proof?.work_product.num_matrices);
  assert.is(await prover.decrypt({ ...sealed, uuid: device.uuid }), text);
});

test('an altered text, another seed and another GPU give no plaintext', async () => {
  if (!sealed) throw new Error('nothing was encrypted');
  const { uuid } = device;
  async function codeOf(work: Promise<string>): Promise<string> {
    const outcome = await work.catch((error: unknown) => error);
    // A cipher without authentication may give another text: only the true one would be wrong.
    return outcome instanceof GravalError ? outcome.code : outcome === text ? 'decrypted' : 'garbage';
  }
  const flipped = Uint8Array.from(sealed.ciphertext, (byte, at) => (at === 0 ? byte ^ 1 : byte));
  assert.is.not(await codeOf(prover.decrypt({ ...sealed, uuid, ciphertext: flipped })), 'decrypted');
  assert.is(await codeOf(prover.decrypt({ ...sealed, uuid, seed: seed - 1n })), 'SEED_MISMATCH');
  assert.is(await codeOf(prover.decrypt({ ...sealed, uuid: 'ff'.repeat(16) })), 'BAD_INPUT');
});

test('every hash that was flipped is found by its index', async () => {
  if (!proof) throw new Error('nothing was proven');
  const product = proof.work_product;
  const spot = { index: 1, iteration: 0 };
  assert.is(await checking.checkProof(device, seed, product, spot), true);
  const flipped = product.intermediate_hashes.map((hash) => `${hash[0] === '0' ? '1' : '0'}${hash.slice(1)}`);
  assert.is(await checking.checkProof(device, seed, { ...product, intermediate_hashes: flipped }, spot), false);
});

test.after(async () => {
  await proving.close();
  await checking.close();
});

test.run();
