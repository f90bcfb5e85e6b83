import { parseChute } from '@miner/controller/domain/chute.ts';
import { gpuTable } from '@miner/controller/domain/gputable.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalogue } from './catalogue.ts';

test('every chute of the catalogue is one that the miner understands, and has a start cost', () => {
  const { chutes } = loadCatalogue({ tee: true });
  assert.is(chutes.size, 204);
  for (const { item, start } of chutes.values()) {
    assert.is(parseChute(item, 'validator').gpuCount, item.node_selector.gpu_count);
    assert.ok(start.imageGb > 0 && start.warmupSeconds > 0, item.name);
  }
});

test('confidential chutes are left out unless asked for, and others by choice', () => {
  const plain = loadCatalogue();
  assert.is(plain.chutes.size, 174);
  const single = loadCatalogue({ keep: (item) => item.node_selector.gpu_count === 1 });
  assert.ok(single.chutes.size > 50 && single.chutes.size < plain.chutes.size);
});

test('every GPU model has a rental price range', () => {
  const { prices } = loadCatalogue();
  for (const { ref } of gpuTable.filter((model) => model.ref !== 'mi300x')) {
    const price = prices.get(ref);
    assert.ok(price && price.low > 0 && price.low <= price.high, ref);
  }
});

test.run();
