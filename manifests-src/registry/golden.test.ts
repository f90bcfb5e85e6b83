// The proxy's nginx.conf, compared byte by byte with golden/*.conf. UPDATE_GOLDEN=1 writes them anew.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RegistryProxyProps } from './props.ts';
import { registryProxyConfig } from './proxy.ts';

const first = { hotkey: '5Dt7HZ7Zpw4DppPxFM7Ke3Cm7sDAWhsZXmM5ZAmE7dSVJbcQ', registry: 'registry.chutes.ai' };
const second = { hotkey: '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty', registry: '10.9.8.7:5000' };

const cases: Record<string, RegistryProxyProps> = {
  'one-validator': { validators: [first] },
  'two-validators-single-connections': { validators: [first, second], upstream: 'single' },
  'two-validators-plain': { validators: [first, second], scheme: 'http', listenPort: 30500, authPort: 8100 },
};

for (const [name, props] of Object.entries(cases)) {
  test(`${name} renders as committed`, () => {
    const file = new URL(`golden/${name}.conf`, import.meta.url);
    const text = registryProxyConfig(props);
    if (process.env.UPDATE_GOLDEN === '1') {
      mkdirSync(new URL('golden/', import.meta.url), { recursive: true });
      writeFileSync(file, text);
    }
    assert.fixture(text, readFileSync(file, 'utf8'));
  });
}

test.run();
