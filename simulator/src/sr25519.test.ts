import * as other from '@scure/sr25519';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hotkeyFromSeed, verifySignature } from './sr25519.ts';

const alice = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';
const bob = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';
const aliceSeed = 'e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a';
const bytes = (text: string) => new TextEncoder().encode(text);

const vectors: [name: string, signer: string, message: string, signature: string][] = [
  [
    'V1 miner to validator',
    alice,
    `${alice}:1735689600:miner`,
    '4881b1590b1c2293bddf4defddd99bac2a2518a0c2decfb6ff2175e0b5c3dc6314d385b1656bde7241dd5a28d14d088e7369308d64b849521acb6cd30b37ac83',
  ],
  [
    'V3 management',
    alice,
    `${alice}:${alice}:1735689600:management`,
    'd0c1eaf776761650ba5f2f012b77d5dccda3d6ae3237a0a88949dee19666d8327043ba57b0500388ce7cc916c3620bcb529dffcd86d0a9fde7bbd2ee7fca688f',
  ],
  [
    'V5 validator to bootstrap',
    bob,
    `${alice}:${bob}:1735689600:graval`,
    'a40d7ba8a177bcab3da3d3fef79f9925e8d38bbc56f32c00736df5c1f611df2dce078ceaaa1cc30c0ba35a3db9f693830b393f300b42d8a457271c85cfe4e186',
  ],
];

for (const [name, signer, message, signature] of vectors) {
  test(`accepts the recorded vector ${name} and nothing near it`, () => {
    assert.ok(verifySignature(signer, bytes(message), signature));
    assert.not(verifySignature(signer, bytes(`${message}x`), signature));
    assert.not(verifySignature(signer === alice ? bob : alice, bytes(message), signature));
  });
}

test('garbage is refused without an error', () => {
  const [, signer, message, signature] = vectors[0] as (typeof vectors)[number];
  const cases: [string, string][] = [
    [signer, ''],
    [signer, `0x${signature}`],
    [signer, signature.slice(2)],
    [signer, 'zz'.repeat(64)],
    [signer, 'ff'.repeat(64)],
    [signer, '00'.repeat(64)],
    ['', signature],
    ['not base58 0OIl', signature],
    [`${signer.slice(0, -1)}Z`, signature],
    ['5'.repeat(100), signature],
  ];
  for (const [address, text] of cases) assert.is(verifySignature(address, bytes(message), text), false, address);
});

test('another implementation accepts our signatures, and we accept its', () => {
  const secret = other.secretFromSeed(Buffer.from(aliceSeed, 'hex'));
  const publicKey = other.getPublicKey(secret);
  assert.is(Buffer.from(publicKey).toString('hex'), 'd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d');
  const ours = Buffer.from(hotkeyFromSeed(aliceSeed).sign('hello'), 'hex');
  assert.ok(other.verify(bytes('hello'), ours, publicKey));
  assert.not(other.verify(bytes('hullo'), ours, publicKey));
  const theirs = Buffer.from(other.sign(secret, bytes('hello'))).toString('hex');
  assert.ok(verifySignature(alice, bytes('hello'), theirs));
});

test('a key made from a seed signs what verification accepts', () => {
  const key = hotkeyFromSeed(aliceSeed);
  assert.is(key.ss58, alice);
  assert.ok(verifySignature(alice, bytes('hello'), key.sign('hello')));
});

test.run();
