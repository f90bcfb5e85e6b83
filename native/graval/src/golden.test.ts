import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadAddon } from './addon.ts';
import { buildAddon } from './build.ts';
import { deviceDigest, mix64, mixb, philox } from './ogv/primitives.ts';
import { contextOf } from './ogv/protocol.ts';
import { runEngine } from './testing/roots.ts';
import { challengeOf, golden, h100, pkM } from './testing/samples.ts';

buildAddon();
const addon = loadAddon();

test('the building blocks give the recorded values', () => {
  const words = philox([0, 0, 0, 0], [0, 0]).map((word) => word.toString(16).padStart(8, '0'));
  assert.equal(words, ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']);
  assert.equal([1, -1, 123456].map(mixb), [242, 94, 14]);
  assert.is(mix64(1n).toString(16), '5692161d100b05e5');
  assert.is(deviceDigest(h100).toString('hex'), '55d39a49ee48ddc596a8cb0863864235b517a20a34a5fde4abbf031089b95dd6');
  const { sigma, key } = contextOf(challengeOf(golden[0]?.sizes as never), h100, pkM);
  assert.is(sigma.toString('hex'), '25cb5bffbc64be370a59b111d24e4222931756b178766612edf55ef0cab3b1b6');
  assert.equal([...key], [0xb6b52684, 0xf32c580f]);
});

const engines = [
  { engine: 'cpu', lanes: 'avx512' },
  { engine: 'cpu', lanes: 'avx2' },
  { engine: 'cpu', lanes: 'plain' },
  { engine: 'cpu', threads: 3 },
  { engine: 'emulated' },
] as const;
const sets = ['plain', 'avx2', 'avx512'];
const best = sets.indexOf(addon.cpu().lanes);

for (const on of engines.filter((each) => !('lanes' in each) || sets.indexOf(each.lanes) <= best)) {
  const name = Object.values(on).join(' ');
  test(`the engine ${name} gives the recorded roots and commits`, async () => {
    for (const { sizes, ...expected } of golden.slice(0, on.engine === 'cpu' ? 3 : 2)) {
      const run = await runEngine(addon, on, challengeOf(sizes), pkM);
      for (const [key, value] of Object.entries(expected)) assert.is(run[key as 'commit'], value, key);
      run.session.free();
    }
  });
}

test.run();
