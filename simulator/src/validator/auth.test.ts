import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hotkeyFromSeed, verifySignature } from '../sr25519.ts';
import { bodyHash, checkRequest, credentialsOf, nodeHeaders, socketNames } from './auth.ts';
import { minerKey, strangerKey, validatorKey } from './testing.ts';

const alice = minerKey.ss58;
const registered = new Set([alice]);
const nonce = '1735689600';
const at = Number(nonce) * 1000;
const body = '{"node_ids":["00112233445566778899aabbccddeeff"],"host":"203.0.113.10","port":30123}';
const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const vectors: [name: string, tail: string, signature: string][] = [
  [
    'V1, purpose miner',
    'miner',
    '4881b1590b1c2293bddf4defddd99bac2a2518a0c2decfb6ff2175e0b5c3dc6314d385b1656bde7241dd5a28d14d088e7369308d64b849521acb6cd30b37ac83',
  ],
  [
    'V2, body hash',
    bodyHash(Buffer.from(body)),
    '2c5accf17bd7f78a17373142216bc5e69b7f71395c70eeb147d9051864b7fd349aac72b5edc370359ce5a4a4e40d390f24d21f78c8f1be026d12f43073706484',
  ],
  [
    'V6, socket',
    'sockets',
    'c030d5a37f450dd55baff50a2ec37120efb7127158847ff3de7d564c21dae6182c3102786e61c218012e9e84e2dc1fe8221f68814072ee830de7ee2cfbc2128e',
  ],
  [
    'V7, empty body',
    bodyHash(new Uint8Array()),
    '623d6c065f67ff5fa6272fbd880f2936380885cfe38f11848041ecffa807bc4b683467bb2a95c81ca9be93ec36a11f84fb7c398d6a896249e31481e717d4f981',
  ],
];
for (const [name, tail, signature] of vectors) {
  test(`the recorded request ${name} is accepted, and not with another body`, () => {
    const credentials = { hotkey: alice, nonce, signature };
    assert.ok(checkRequest(credentials, tail, { registered, nowMs: at }).ok);
    assert.not(checkRequest(credentials, bodyHash(Buffer.from(`${body} `)), { registered, nowMs: at }).ok);
  });
}

test('the hash of V2 and of an empty body are the recorded ones', () => {
  assert.is(bodyHash(Buffer.from(body)), 'f843d874563cb385db99e9bdf171cf5ed5079ce2e82ac2e33efb15126b933265');
  assert.is(bodyHash(new Uint8Array()), empty);
});

const good = { hotkey: alice, nonce, signature: minerKey.sign(`${alice}:${nonce}:miner`) };
const times: [seconds: number, ok: boolean][] = [
  [-600, false],
  [-599, true],
  [599, true],
  [600, false],
];
for (const [seconds, ok] of times) {
  test(`a nonce ${seconds} s from now is ${ok ? 'accepted' : 'refused'}`, () => {
    assert.is(checkRequest(good, 'miner', { registered, nowMs: at - seconds * 1000 }).ok, ok);
  });
}

const sign = (text: string) => minerKey.sign(`${alice}:${text}:miner`);
const bad: [name: string, credentials: typeof good | undefined][] = [
  ['no headers', undefined],
  ['a nonce with a fraction', { ...good, nonce: `${nonce}.5`, signature: sign(`${nonce}.5`) }],
  ['a nonce that is no number', { ...good, nonce: 'now', signature: sign('now') }],
  ['a signature of another key', { ...good, signature: strangerKey.sign(`${alice}:${nonce}:miner`) }],
  ['a signature with 0x', { ...good, signature: `0x${good.signature}` }],
  ['a signature that is not hex', { ...good, signature: 'z'.repeat(128) }],
  ['a short signature', { ...good, signature: good.signature.slice(2) }],
  [
    'a hotkey that is not registered',
    { hotkey: strangerKey.ss58, nonce, signature: strangerKey.sign(`${strangerKey.ss58}:${nonce}:miner`) },
  ],
];
for (const [name, credentials] of bad) {
  test(`${name} is refused`, () => {
    assert.equal(checkRequest(credentials, 'miner', { registered, nowMs: at }), { ok: false });
  });
}

test('a good signature for another purpose is refused and recognised', () => {
  assert.equal(checkRequest(good, 'launch', { registered, nowMs: at }), { ok: false, wrongTail: 'miner' });
  const hash = bodyHash(Buffer.from(body));
  const hashed = { ...good, signature: minerKey.sign(`${alice}:${nonce}:${hash}`) };
  const verdict = checkRequest(hashed, 'tee', { registered, body: Buffer.from(body), nowMs: at });
  assert.equal(verdict, { ok: false, wrongTail: hash });
});

test('an incomplete set of headers gives no credentials, and socket keys are case-sensitive', () => {
  const full = { 'X-Chutes-Hotkey': 'a', 'X-Chutes-Nonce': '1', 'X-Chutes-Signature': 's' };
  assert.equal(credentialsOf(full, socketNames), { hotkey: 'a', nonce: '1', signature: 's' });
  assert.is(credentialsOf({ ...full, 'X-Chutes-Nonce': 1 }, socketNames), undefined);
  assert.is(credentialsOf({ ...full, 'X-Chutes-Signature': '' }, socketNames), undefined);
  assert.is(credentialsOf({ 'x-chutes-hotkey': 'a', 'x-chutes-nonce': '1' }, socketNames), undefined);
});

test('requests to a node carry the four-part string of V5', () => {
  const recorded =
    'a40d7ba8a177bcab3da3d3fef79f9925e8d38bbc56f32c00736df5c1f611df2dce078ceaaa1cc30c0ba35a3db9f693830b393f300b42d8a457271c85cfe4e186';
  const message = (time: string) => new TextEncoder().encode(`${alice}:${validatorKey.ss58}:${time}:graval`);
  assert.ok(verifySignature(validatorKey.ss58, message(nonce), recorded));
  const headers = nodeHeaders(hotkeyFromSeed(validatorKey.seed), alice, 'graval');
  assert.is(headers['X-Chutes-Validator'], validatorKey.ss58);
  const time = headers['X-Chutes-Nonce'] ?? '';
  assert.ok(verifySignature(validatorKey.ss58, message(time), headers['X-Chutes-Signature'] ?? ''));
});

test.run();
