import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError } from '../domain/errors.ts';
import { loadHotkey } from './hotkey.ts';
import { createSigner, createSignerFromExpanded, verifySignature } from './sr25519.ts';
import { decodeAddress } from './ss58.ts';

const wasm: typeof import('@polkadot/wasm-crypto') = createRequire(import.meta.url)('@polkadot/wasm-crypto');

const test = suite('hotkey file', { path: '' });
const seed = 'e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a';
const address = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';
const bob = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';
const phrase = 'bottom drive obey lake curtain smoke basket hold race lonely fit walk';
const wallet = {
  accountId: '0x00',
  secretPhrase: phrase,
  secretSeed: `0x${seed}`,
  ss58Address: address,
  cryptoType: 1,
};

test.before(async (context) => {
  context.path = join(await mkdtemp(join(tmpdir(), 'hotkey-')), 'default');
});
test.after((context) => rm(join(context.path, '..'), { recursive: true }));

for (const secretSeed of [`0x${seed}`, seed]) {
  test(`a wallet file gives a signer, with the seed written as ${secretSeed.slice(0, 4)}…`, async ({ path }) => {
    await writeFile(path, JSON.stringify({ ...wallet, secretSeed }));
    const signer = await loadHotkey(path);
    assert.is(signer.address, address);
    assert.ok(verifySignature(Buffer.from(signer.sign('hello'), 'hex'), 'hello', signer.publicKey));
  });
}

/** As bittensor-wallet 4.1.1 and substrate-interface 1.8.1 write the public development key //Alice: without a seed. */
const expanded =
  '33a6f3093f158a7109f679410bef1a0c54168145e0cecb4df006c1c2fffb1f09925a225d97aa00682d6a59b95b18780c10d7032336e88f3442b42361f4a66011';
const uriWallet = { ss58Address: address, cryptoType: 1, privateKey: `0x${expanded}` };
/** A signature of V1 (protocol.md 1.6) fits the key that the file must give. */
const v1 = `${address}:1735689600:miner`;

for (const privateKey of [`0x${expanded}`, expanded]) {
  test(`a file with only a private key gives the signer of its address, with the key written as ${privateKey.slice(0, 4)}…`, async ({
    path,
  }) => {
    await writeFile(path, JSON.stringify({ ...uriWallet, privateKey }));
    const signer = await loadHotkey(path);
    assert.is(signer.address, address);
    const publicKey = decodeAddress(address) ?? new Uint8Array();
    for (let i = 0; i < 5; i++) assert.ok(verifySignature(Buffer.from(signer.sign(v1), 'hex'), v1, publicKey));
  });
}

test('seed and private key of one wallet are the same key', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const fromSeed = createSigner(bytes);
      // The engine's form is eight times the stored one: divide as the wallet does.
      const engine = wasm.sr25519KeypairFromSeed(bytes).slice(0, 64);
      const stored = Uint8Array.from(engine, (byte, i) =>
        i < 32 ? ((byte >> 3) | ((i < 31 ? (engine[i + 1] ?? 0) : 0) << 5)) & 0xff : byte,
      );
      const signer = createSignerFromExpanded(stored, fromSeed.publicKey);
      assert.is(signer?.address, fromSeed.address);
      assert.is(
        createSignerFromExpanded(engine, fromSeed.publicKey),
        undefined,
        'the engine’s own form is not a wallet’s',
      );
    }),
    { numRuns: 20 },
  );
});

test('a closed signer signs no more, and a closed one may be closed again', async ({ path }) => {
  for (const content of [wallet, uriWallet]) {
    await writeFile(path, JSON.stringify(content));
    const signer = await loadHotkey(path);
    signer.close();
    signer.close();
    assert.throws(() => signer.sign('hello'), /closed/);
    assert.is(signer.address, address);
  }
});

test('closing overwrites the secret that was signed with', () => {
  const kept: Uint8Array[] = [];
  const { slice } = Uint8Array.prototype;
  Uint8Array.prototype.slice = function (this: Uint8Array, ...range: [number?, number?]) {
    const part = slice.apply(this, range) as Uint8Array<ArrayBuffer>;
    kept.push(part);
    return part;
  };
  try {
    const signer = createSigner(Buffer.from(seed, 'hex'));
    const secret = kept.find((part) => part.length === 64) ?? new Uint8Array();
    assert.ok(secret.some((byte) => byte !== 0));
    signer.close();
    assert.ok(secret.every((byte) => byte === 0));
  } finally {
    Uint8Array.prototype.slice = slice;
  }
});

const broken: [string, string, RegExp][] = [
  ['without a seed', JSON.stringify({ ...wallet, secretSeed: undefined }), /neither secretSeed nor privateKey/],
  ['with a null seed', JSON.stringify({ ...wallet, secretSeed: null }), /neither/],
  [
    'with a seed of another key',
    JSON.stringify({ ...wallet, secretSeed: `0x${'11'.repeat(32)}` }),
    /but its ss58Address is 5Grw/,
  ],
  ['with a short seed', JSON.stringify({ ...wallet, secretSeed: seed.slice(2) }), /not 64 hex digits/],
  ['with a wrong address', JSON.stringify({ ...wallet, ss58Address: address.toLowerCase() }), /not a valid address/],
  ['without an address', JSON.stringify({ ...wallet, ss58Address: undefined }), /no ss58Address/],
  [
    'with a private key of another key',
    JSON.stringify({ ...uriWallet, privateKey: `0x${'05'.repeat(64)}` }),
    /not that of/,
  ],
  ['with a private key beyond the group', JSON.stringify({ ...uriWallet, privateKey: 'ff'.repeat(64) }), /not that of/],
  [
    'with a scalar just beyond it',
    JSON.stringify({ ...uriWallet, privateKey: `${'ff'.repeat(31)}1f${'00'.repeat(32)}` }),
    /not that of/,
  ],
  ['with a short private key', JSON.stringify({ ...uriWallet, privateKey: expanded.slice(2) }), /not 128 hex digits/],
  ['with the private key of another address', JSON.stringify({ ...uriWallet, ss58Address: bob }), /not that of its/],
  ['of another key kind', JSON.stringify({ ...wallet, cryptoType: 0 }), /cryptoType 0; allowed: 1/],
  ['that is encrypted', `$NACL${seed}`, /is encrypted/],
  ['that an old wallet encrypted', `$ANSIBLE_VAULT;1.1;AES256\n${seed}`, /is encrypted/],
  ['that is no JSON', `${seed} ${phrase}`, /not JSON/],
  ['that is a list', JSON.stringify([wallet]), /not a wallet/],
];

for (const [what, content, message] of broken) {
  test(`a file ${what} is refused with E-HOTKEY and shows no key material`, async ({ path }) => {
    await writeFile(path, content);
    const error = await loadHotkey(path).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.instance(error, MinerError);
    assert.is((error as MinerError).code, 'E-HOTKEY');
    assert.match((error as MinerError).message, message);
    const shown = inspect(error, { depth: null, showHidden: true });
    for (const secret of [seed, seed.slice(2), phrase, expanded.slice(2), '11'.repeat(32)])
      assert.not(shown.includes(secret));
  });
}

test('a missing file is named with the reason', async ({ path }) => {
  const error = await loadHotkey(`${path}-missing`).catch((reason: unknown) => reason);
  assert.match(String(error), /default-missing cannot be read \(ENOENT\)/);
});

test.run();
