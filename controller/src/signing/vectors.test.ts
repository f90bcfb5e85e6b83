// The recorded vectors of protocol.md 1.6: keys are the public development keys Alice (miner) and Bob (validator).

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bodyHash, managementHeaders, serviceHeaders, validatorHeaders } from './sign.ts';
import { createSigner, verifySignature } from './sr25519.ts';
import { decodeAddress, encodeAddress } from './ss58.ts';

const nonce = 1735689600;
const clock = { now: () => nonce * 1000 };
const seeds = {
  alice: 'e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a',
  bob: '398f0c28f98885e046333d4a41c19cee4c37368a9832c6502f6cfd182e2aef89',
};
const alice = createSigner(Buffer.from(seeds.alice, 'hex'));
const bob = createSigner(Buffer.from(seeds.bob, 'hex'));
const A = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';
const B = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';

const v2Body = '{"node_ids":["00112233445566778899aabbccddeeff"],"host":"203.0.113.10","port":30123}';
const v4Body =
  '{"name": "chutes-miner-gpu-0", "validator": "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty", "hourly_cost": 1.5, "gpu_short_ref": "h100_sxm", "agent_api": "http://203.0.113.10:32000"}';

const vectors = [
  {
    name: 'V1 miner to validator with a purpose',
    message: `${A}:${nonce}:miner`,
    headers: validatorHeaders(alice, { purpose: 'miner' }, clock),
    signature:
      '4881b1590b1c2293bddf4defddd99bac2a2518a0c2decfb6ff2175e0b5c3dc6314d385b1656bde7241dd5a28d14d088e7369308d64b849521acb6cd30b37ac83',
  },
  {
    name: 'V2 miner to validator with a body',
    message: `${A}:${nonce}:f843d874563cb385db99e9bdf171cf5ed5079ce2e82ac2e33efb15126b933265`,
    headers: validatorHeaders(alice, { body: v2Body }, clock),
    signature:
      '2c5accf17bd7f78a17373142216bc5e69b7f71395c70eeb147d9051864b7fd349aac72b5edc370359ce5a4a4e40d390f24d21f78c8f1be026d12f43073706484',
  },
  {
    name: 'V3 management with a purpose',
    message: `${A}:${A}:${nonce}:management`,
    headers: managementHeaders(alice, { purpose: 'management' }, clock),
    signature:
      'd0c1eaf776761650ba5f2f012b77d5dccda3d6ae3237a0a88949dee19666d8327043ba57b0500388ce7cc916c3620bcb529dffcd86d0a9fde7bbd2ee7fca688f',
  },
  {
    name: 'V4 management with a body',
    message: `${A}:${A}:${nonce}:ed83b17680aac51fef7e997b88ff2c088fe9635de542895189c494dcab9773a3`,
    headers: managementHeaders(alice, { body: v4Body, purpose: 'management' }, clock),
    signature:
      'ec48fc353a36fa948660ce9dc2ed843e04bc3ee20737653e859ea14b08bf003e243d67307907f2d61f55a28fa9689d565e348e660b3aafaf6a62d953428cb886',
  },
  {
    name: 'V5 validator to a service of the miner',
    message: `${A}:${B}:${nonce}:graval`,
    signer: bob,
    headers: serviceHeaders(bob, A, { purpose: 'graval' }, clock),
    signature:
      'a40d7ba8a177bcab3da3d3fef79f9925e8d38bbc56f32c00736df5c1f611df2dce078ceaaa1cc30c0ba35a3db9f693830b393f300b42d8a457271c85cfe4e186',
  },
  {
    name: 'V6 socket',
    message: `${A}:${nonce}:sockets`,
    headers: validatorHeaders(alice, { purpose: 'sockets' }, clock),
    signature:
      'c030d5a37f450dd55baff50a2ec37120efb7127158847ff3de7d564c21dae6182c3102786e61c218012e9e84e2dc1fe8221f68814072ee830de7ee2cfbc2128e',
  },
  {
    name: 'V7 empty body',
    message: `${A}:${nonce}:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`,
    headers: validatorHeaders(alice, { body: '' }, clock),
    signature:
      '623d6c065f67ff5fa6272fbd880f2936380885cfe38f11848041ecffa807bc4b683467bb2a95c81ca9be93ec36a11f84fb7c398d6a896249e31481e717d4f981',
  },
];

for (const { name, message, headers, signature, signer = alice } of vectors) {
  test(`${name}: the recorded signature and ours fit the same message`, () => {
    assert.ok(verifySignature(Buffer.from(signature, 'hex'), message, signer.publicKey));
    const ours = headers['X-Chutes-Signature'] ?? '';
    assert.match(ours, /^[0-9a-f]{128}$/);
    assert.ok(verifySignature(Buffer.from(ours, 'hex'), message, signer.publicKey));
    assert.is(headers['X-Chutes-Nonce'], String(nonce));
  });

  test(`${name}: nothing but that message and key is accepted`, () => {
    const bytes = Buffer.from(signature, 'hex');
    const other = signer === alice ? bob : alice;
    assert.not(verifySignature(bytes, `${message}x`, signer.publicKey));
    assert.not(verifySignature(bytes, message, other.publicKey));
    bytes[5] = (bytes[5] ?? 0) ^ 1;
    assert.not(verifySignature(bytes, message, signer.publicKey));
  });
}

test('the recorded body hashes are those of the exact bytes', () => {
  assert.is(bodyHash(v2Body), 'f843d874563cb385db99e9bdf171cf5ed5079ce2e82ac2e33efb15126b933265');
  assert.is(bodyHash(v4Body), 'ed83b17680aac51fef7e997b88ff2c088fe9635de542895189c494dcab9773a3');
});

test('each direction names its parties in the headers that belong to it', () => {
  const [remote, , management, , service] = vectors.map(({ headers }) => headers);
  assert.is(remote?.['X-Chutes-Hotkey'], A);
  assert.is(remote?.['X-Chutes-Validator'], undefined);
  assert.is(management?.['X-Chutes-Miner'], A);
  assert.is(management?.['X-Chutes-Validator'], A);
  assert.is(service?.['X-Chutes-Miner'], A);
  assert.is(service?.['X-Chutes-Validator'], B);
});

test('an empty body with a purpose signs the purpose', () => {
  const signature = validatorHeaders(alice, { body: '', purpose: 'tee' }, clock)['X-Chutes-Signature'] ?? '';
  assert.ok(verifySignature(Buffer.from(signature, 'hex'), `${A}:${nonce}:tee`, alice.publicKey));
});

test('a signature over neither body nor purpose is a programming error', () => {
  assert.throws(() => validatorHeaders(alice, {}, clock), /a body or a purpose/);
});

test('addresses and public keys of the vectors belong together', () => {
  assert.is(alice.address, A);
  assert.is(bob.address, B);
  assert.is(
    Buffer.from(alice.publicKey).toString('hex'),
    'd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d',
  );
  assert.equal(decodeAddress(A), alice.publicKey);
  assert.is(encodeAddress(bob.publicKey), B);
});

test('printing a signer shows no secret', async () => {
  const { inspect } = await import('node:util');
  const shown = `${inspect(alice, { depth: null, showHidden: true })}${JSON.stringify(alice)}`;
  assert.not(shown.includes(seeds.alice));
});

test('malformed signatures are refused without an error', () => {
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(63), Buffer.alloc(64), Buffer.alloc(64, 255), Buffer.alloc(65)]) {
    assert.not(verifySignature(bytes, 'x', alice.publicKey));
    assert.not(verifySignature(bytes, 'x', Buffer.alloc(32, 255)));
    assert.not(verifySignature(bytes, 'x', Buffer.alloc(5)));
  }
});

test.run();
