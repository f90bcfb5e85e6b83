import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseJson, toJson } from './lossless.ts';
import { checkProof, decryptWith, encryptWith, infoAnswer, prove } from './refc1.ts';
import { answerClaim, readClaimReply } from './refc1-pod.ts';
import { answerProve, readProveRequest } from './refc1-wire.ts';

const h100 = {
  uuid: '00112233445566778899aabbccddeeff',
  name: 'NVIDIA H100 80GB HBM3',
  memory: 85029158912,
  processors: 132,
  clock_rate: 1980000,
  max_threads_per_processor: 2048,
};
const other = { ...h100, uuid: 'ff112233445566778899aabbccddeeff' };
const small = { n: 64, num: 2 };

test('an info challenge of zero bytes has the recorded answer', () => {
  const answer = infoAnswer('00'.repeat(32), [h100]);
  assert.is(answer, '210a7357283627d3a7dcf99abbf7b1dd182ea342bd12df3b389b9bc0b13441ce');
});

test('the first byte of an info challenge chooses the GPU, and 0 answers for one that does not exist', () => {
  const rest = 'ab'.repeat(31);
  assert.is.not(infoAnswer(`01${rest}`, [h100, other]), infoAnswer(`01${rest}`, [h100]));
  assert.is(infoAnswer(`09${rest}`, [h100, other]), infoAnswer(`09${rest}`, [h100]));
  assert.throws(() => infoAnswer('00', [h100]), /64 hex/);
});

test('two iterations give the recorded hashes, key and ciphertext', () => {
  const work = prove(42n, 2, h100);
  const hashes = work.workProduct.intermediate_hashes;
  assert.is(hashes.length, 16);
  assert.is(hashes[0], 'c97f778279cf493f3b6aacdfb81e710094c793f8aa5b848c51d6b8bf4e5d425e');
  assert.is(hashes[15], '4e91e6253d8b2b9e85f4d28713ec3cb2d175b7fb9489f7c34bf2e222cce6c857');
  assert.is(Buffer.from(work.key).toString('hex'), 'ccfa6d7fa5c164db84b4dcbd051aa668356033ff79593cb8b457255b7c9678a0');
  const iv = Uint8Array.from({ length: 16 }, (_, i) => i);
  const wire = encryptWith(work, 'decrypt me', iv);
  assert.is(wire, 'AAECAwQFBgcICQoLDA0OD4Z4etWXjrr2wisruN6f/jpOE01hJi+b7+iE');
  assert.is(decryptWith(work, wire), 'decrypt me');
});

test('any text survives encryption, and only under the same GPU, seed and iterations', () => {
  const work = prove(7n, 1, h100, small);
  const strangers = [prove(8n, 1, h100, small), prove(7n, 2, h100, small), prove(7n, 1, other, small)];
  fc.assert(
    fc.property(fc.string(), (text) => {
      const wire = encryptWith(work, text);
      assert.is(decryptWith(work, wire), text);
      for (const stranger of strangers) assert.is(decryptWith(stranger, wire), undefined);
    }),
  );
  assert.is(decryptWith(work, 'AAAA'), undefined);
});

test('a proof is accepted at every spot, and refused where a hash or its shape is wrong', () => {
  const { workProduct } = prove(7n, 2, h100, small);
  const expected = { iterations: 2, sizes: small };
  for (const spot of [0, 1, 2, 3]) {
    const at = { iteration: Math.floor(spot / 2), index: spot % 2 };
    assert.ok(checkProof(h100, 7n, expected, workProduct, at), `spot ${spot}`);
    const forged = workProduct.intermediate_hashes.with(spot, '00'.repeat(32));
    assert.not(checkProof(h100, 7n, expected, { ...workProduct, intermediate_hashes: forged }, at), `spot ${spot}`);
  }
  const first = { iteration: 0, index: 0 };
  assert.not(checkProof(other, 7n, expected, workProduct, first));
  assert.not(checkProof(h100, 8n, expected, workProduct, first));
  assert.not(checkProof(h100, 7n, { iterations: 1, sizes: small }, workProduct, first));
  assert.not(checkProof(h100, 7n, expected, { ...workProduct, intermediate_hashes: [] }, first));
  assert.not(checkProof(h100, 7n, expected, workProduct, { iteration: 2, index: 0 }));
});

test('a node proves and decrypts for each of its GPUs with a seed of 63 bits', () => {
  const seed = 9223372036854775807n;
  const ciphertext = {
    [h100.uuid]: encryptWith(prove(seed, 1, h100, small), 'one'),
    [other.uuid]: encryptWith(prove(seed, 1, h100, small), 'not for this GPU'),
  };
  const request = readProveRequest(toJson({ seed, iterations: 1, ciphertext }));
  const reply = answerProve(request, [h100, other], small);
  assert.is(reply.seed, seed);
  assert.equal(reply.plaintext, { [h100.uuid]: 'one' });
  assert.is(reply.proof[other.uuid]?.device_id, 1);
  assert.match(toJson(reply), '"seed":9223372036854775807,');
});

for (const body of ['{"seed":-1}', '{"seed":9223372036854775808}', '{"seed":1,"iterations":11}', '{}']) {
  test(`a node refuses to prove for ${body}`, () => assert.throws(() => readProveRequest(body)));
}

test('a pod refuses a claim reply for another launch or another GPU', () => {
  const ciphertext = encryptWith(prove(7n, 1, h100, small), '00'.repeat(16));
  const symmetric_key = { ciphertext, uuid: h100.uuid, response_plaintext: 'secret is c-1 7' };
  const reply = readClaimReply(toJson({ seed: 7n, iterations: 1, job_id: null, symmetric_key }));
  assert.equal(Object.keys(answerClaim(reply, [h100, other], 'c-1', small).proof), [h100.uuid, other.uuid]);
  assert.throws(() => answerClaim(reply, [h100], 'c-2', small), /another launch/);
  assert.throws(() => answerClaim(reply, [other], 'c-1', small), /GPU that this pod does not have/);
});

test('large integers survive JSON both ways, and small numbers stay numbers', () => {
  const text = '{"seed":9223372036854775807,"small":3,"rate":1.5}';
  const value = parseJson(text);
  assert.equal(value, { seed: 9223372036854775807n, small: 3, rate: 1.5 });
  assert.is(toJson(value), text);
});

test.run();
