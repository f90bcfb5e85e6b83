import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeAddress, encodeAddress } from './ss58.ts';

const alice = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';
const key = fc.uint8Array({ minLength: 32, maxLength: 32 });

test('every public key comes back from its address', () => {
  fc.assert(
    fc.property(key, (publicKey) => {
      assert.equal(decodeAddress(encodeAddress(publicKey)), publicKey);
    }),
  );
});

test('an address with one character changed is refused', () => {
  const letters = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
  fc.assert(
    fc.property(key, fc.nat(46), fc.constantFrom(...letters), (publicKey, at, letter) => {
      const address = encodeAddress(publicKey);
      fc.pre(address[at] !== letter);
      assert.is(decodeAddress(address.slice(0, at) + letter + address.slice(at + 1)), undefined);
    }),
  );
});

test('no text makes decoding throw', () => {
  fc.assert(fc.property(fc.string({ maxLength: 60 }), (text) => decodeAddress(text) === undefined));
});

test('what is no address of format 42 is refused', () => {
  const cases: [string, string][] = [
    ['empty', ''],
    ['lower case', alice.toLowerCase()],
    ['with a space', `${alice} `],
    ['a Polkadot address (format 0) of the same key', '15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5'],
    ['very long', alice.repeat(10_000)],
  ];
  for (const [what, text] of cases) assert.is(decodeAddress(text), undefined, what);
});

test('a key of another length is a programming error', () => {
  assert.throws(() => encodeAddress(new Uint8Array(33)), /32 bytes, not 33/);
});

test.run();
