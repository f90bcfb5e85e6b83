import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { managementHeaders, type SignedHeaders, serviceHeaders } from './sign.ts';
import { createSigner, type Signer } from './sr25519.ts';
import { createVerifier, type SignedRequest } from './verify.ts';

const nonce = 1735689600;
const alice = createSigner(Buffer.from('e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a', 'hex'));
const bob = createSigner(Buffer.from('398f0c28f98885e046333d4a41c19cee4c37368a9832c6502f6cfd182e2aef89', 'hex'));
const v3 =
  'd0c1eaf776761650ba5f2f012b77d5dccda3d6ae3237a0a88949dee19666d8327043ba57b0500388ce7cc916c3620bcb529dffcd86d0a9fde7bbd2ee7fca688f';
const v4Body =
  '{"name": "chutes-miner-gpu-0", "validator": "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty", "hourly_cost": 1.5, "gpu_short_ref": "h100_sxm", "agent_api": "http://203.0.113.10:32000"}';
const v4 =
  'ec48fc353a36fa948660ce9dc2ed843e04bc3ee20737653e859ea14b08bf003e243d67307907f2d61f55a28fa9689d565e348e660b3aafaf6a62d953428cb886';

function at(seconds: number, allowedSigners: Signer[] = [alice]) {
  const clock = { ms: seconds * 1000, now: () => clock.ms };
  return {
    clock,
    ...createVerifier({ miner: alice.address, allowedSigners: allowedSigners.map((s) => s.address), clock }),
  };
}

function lower(headers: SignedHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function recorded(change: Record<string, string | undefined> = {}): SignedRequest['headers'] {
  return {
    'x-chutes-miner': alice.address,
    'x-chutes-validator': alice.address,
    'x-chutes-nonce': String(nonce),
    'x-chutes-signature': v3,
    ...change,
  };
}

const get = { method: 'GET', body: Buffer.alloc(0), purpose: 'management' };

test('the recorded management requests V3 and V4 are accepted', () => {
  const { verify } = at(nonce + 5);
  assert.equal(verify({ ...get, headers: recorded() }), { accepted: true, signer: alice.address });
  const post = { method: 'POST', body: Buffer.from(v4Body), purpose: 'management' };
  assert.ok(verify({ ...post, headers: recorded({ 'x-chutes-signature': v4 }) }).accepted);
});

const refused: [string, Partial<SignedRequest>, RegExp][] = [
  [
    'one byte more in the body of V4',
    { method: 'POST', body: Buffer.from(`${v4Body} `), headers: recorded({ 'x-chutes-signature': v4 }) },
    /does not fit/,
  ],
  ['another purpose', { purpose: 'kubeconfig' }, /does not fit/],
  ['a POST signed with the purpose', { method: 'POST' }, /does not fit/],
  ['0x before the signature', { headers: recorded({ 'x-chutes-signature': `0x${v3}` }) }, /not 128 hex/],
  ['a signature that is not hex', { headers: recorded({ 'x-chutes-signature': 'z'.repeat(128) }) }, /not 128 hex/],
  ['a short signature', { headers: recorded({ 'x-chutes-signature': v3.slice(2) }) }, /not 128 hex/],
  ['no signature', { headers: recorded({ 'x-chutes-signature': undefined }) }, /not 128 hex/],
  ['64 bytes of garbage', { headers: recorded({ 'x-chutes-signature': 'ff'.repeat(64) }) }, /does not fit/],
  ['a nonce with a fraction', { headers: recorded({ 'x-chutes-nonce': `${nonce}.0` }) }, /not an integer/],
  ['a nonce that is a word', { headers: recorded({ 'x-chutes-nonce': 'now' }) }, /not an integer/],
  ['no nonce', { headers: recorded({ 'x-chutes-nonce': undefined }) }, /not an integer/],
  ['another miner', { headers: recorded({ 'x-chutes-miner': bob.address }) }, /not for this miner/],
  ['a signer that is not allowed', { headers: recorded({ 'x-chutes-validator': bob.address }) }, /not allowed/],
  ['a signer that is no address', { headers: recorded({ 'x-chutes-validator': 'toString' }) }, /not allowed/],
  ['no headers', { headers: {} }, /not for this miner/],
];

for (const [what, change, reason] of refused) {
  test(`${what} is refused`, () => {
    const verdict = at(nonce + 5).verify({ ...get, headers: recorded(), ...change });
    assert.not(verdict.accepted);
    assert.match('reason' in verdict ? verdict.reason : '', reason);
  });
}

const ages: [number, boolean][] = [
  [0, true],
  [28, true],
  [29.9, true],
  [30, false],
  [600, false],
  [-29, true],
  [-30, false],
  [-86_400, false],
];
for (const [age, accepted] of ages) {
  test(`a nonce ${age} s old is ${accepted ? 'accepted' : 'refused'}`, () => {
    assert.is(at(nonce + age).verify({ ...get, headers: recorded() }).accepted, accepted);
  });
}

test('a signature is accepted once, whatever the case of its letters, until its nonce has expired anyway', () => {
  const { clock, verify } = at(nonce - 29);
  const request = { ...get, headers: recorded() };
  assert.ok(verify(request).accepted);
  for (; clock.ms < (nonce + 40) * 1000; clock.ms += 500) {
    assert.not(verify(request).accepted);
    assert.not(verify({ ...get, headers: recorded({ 'x-chutes-signature': v3.toUpperCase() }) }).accepted);
  }
});

test('an accepted signature written another way is no second one', () => {
  const { verify } = at(nonce);
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const bytes = Buffer.from(v3, 'hex');
  const scalar = BigInt(`0x${Buffer.from(bytes.subarray(32)).reverse().toString('hex')}`) & (2n ** 255n - 1n);
  function withScalar(value: bigint): string {
    const tail = Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse();
    return Buffer.concat([bytes.subarray(0, 32), tail]).toString('hex');
  }
  const mark = 2n ** 255n;
  assert.is(withScalar(scalar | mark), v3);
  for (const other of [
    withScalar(scalar),
    withScalar((scalar + order) | mark),
    withScalar((scalar + 2n * order) | mark),
  ]) {
    assert.not(verify({ ...get, headers: recorded({ 'x-chutes-signature': other }) }).accepted, other);
  }
  assert.ok(verify({ ...get, headers: recorded() }).accepted);
});

test('a refused request does not use its signature up', () => {
  const { verify } = at(nonce);
  assert.not(verify({ ...get, purpose: 'kubeconfig', headers: recorded() }).accepted);
  assert.ok(verify({ ...get, headers: recorded() }).accepted);
});

test('an empty POST is accepted with the hash of nothing, not with the purpose', () => {
  const { clock, verify } = at(nonce);
  const post = { ...get, method: 'POST' };
  assert.ok(verify({ ...post, headers: lower(managementHeaders(alice, { body: '' }, clock)) }).accepted);
  assert.not(verify({ ...post, headers: lower(managementHeaders(alice, { purpose: 'management' }, clock)) }).accepted);
});

test('a validator is accepted where it is an allowed signer, and verified with its own key', () => {
  const { clock, verify } = at(nonce, [alice, bob]);
  const good = lower(serviceHeaders(bob, alice.address, { purpose: 'graval' }, clock));
  assert.equal(verify({ ...get, purpose: 'graval', headers: good }), { accepted: true, signer: bob.address });
  const forged = {
    ...lower(managementHeaders(alice, { purpose: 'graval' }, clock)),
    'x-chutes-validator': bob.address,
  };
  assert.not(verify({ ...get, purpose: 'graval', headers: forged }).accepted);
});

test('the check before the body refuses all but a signature that does not fit', () => {
  const { precheck } = at(nonce);
  assert.ok(precheck(recorded({ 'x-chutes-signature': 'ff'.repeat(64) })).accepted);
  assert.not(precheck(recorded({ 'x-chutes-nonce': '1' })).accepted);
});

test('no header value makes the verifier throw or accept', () => {
  const { verify } = at(nonce);
  const value = fc.oneof(
    fc.string(),
    fc.constant(undefined),
    fc.array(fc.string()),
    fc.constant(String(nonce)),
    fc.constant(alice.address),
  );
  const headers = fc.record({
    'x-chutes-miner': value,
    'x-chutes-validator': value,
    'x-chutes-nonce': value,
    'x-chutes-signature': value,
  });
  fc.assert(fc.property(headers, (given) => !verify({ ...get, headers: given }).accepted));
});

test.run();
