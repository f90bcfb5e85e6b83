import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError } from '../domain/errors.ts';
import { loadHotkey } from './hotkey.ts';
import { verifySignature } from './sr25519.ts';

const test = suite('hotkey file', { path: '' });
const seed = 'e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a';
const address = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';
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

const broken: [string, string, RegExp][] = [
  ['without a seed', JSON.stringify({ ...wallet, secretSeed: undefined }), /no secretSeed; keys made from a URI/],
  ['with a null seed', JSON.stringify({ ...wallet, secretSeed: null }), /no secretSeed/],
  [
    'with a seed of another key',
    JSON.stringify({ ...wallet, secretSeed: `0x${'11'.repeat(32)}` }),
    /but its ss58Address is 5Grw/,
  ],
  ['with a short seed', JSON.stringify({ ...wallet, secretSeed: seed.slice(2) }), /not 64 hex digits/],
  ['with a wrong address', JSON.stringify({ ...wallet, ss58Address: address.toLowerCase() }), /not a valid address/],
  ['without an address', JSON.stringify({ ...wallet, ss58Address: undefined }), /no ss58Address/],
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
    for (const secret of [seed, seed.slice(2), phrase, '11'.repeat(32)]) assert.not(shown.includes(secret));
  });
}

test('a missing file is named with the reason', async ({ path }) => {
  const error = await loadHotkey(`${path}-missing`).catch((reason: unknown) => reason);
  assert.match(String(error), /default-missing cannot be read \(ENOENT\)/);
});

test.run();
