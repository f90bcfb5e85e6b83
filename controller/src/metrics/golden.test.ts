// Names, types and help of all metrics, compared with golden/metrics.txt: dashboards and alerts are written against them.
// UPDATE_GOLDEN=1 writes it anew.

import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createMetrics } from './metrics.ts';

const file = new URL('golden/metrics.txt', import.meta.url);

test('the metrics are those that are committed', async () => {
  const { registry } = createMetrics({ process: false });
  const text = (await registry.getMetricsAsJSON())
    .map(({ name, type, help }) => `${name} (${type}): ${help}\n`)
    .sort()
    .join('');
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, text);
  assert.fixture(text, readFileSync(file, 'utf8'));
});

test('names are in base units and counters end in _total', async () => {
  const { registry } = createMetrics({ process: false });
  for (const { name, type } of await registry.getMetricsAsJSON()) {
    assert.match(name, /^miner_[a-z_]+$/);
    assert.is(name.endsWith('_total'), String(type) === 'counter', name);
    assert.not.match(name, /_(ms|milliseconds|minutes|percent)(_|$)/);
  }
});

test.run();
