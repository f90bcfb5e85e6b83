// A thousand random challenges: the CPU engine against the CUDA source compiled for the CPU, and against a card where there is one.

import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type EngineKind, loadAddon } from './addon.ts';
import { buildAddon } from './build.ts';
import { checkGolden, firstDifference } from './testing/vectors.ts';

buildAddon();
const addon = loadAddon();

function hasCard(): boolean {
  try {
    return addon.hasKernels && addon.cudaDevices().length > 0;
  } catch {
    return false;
  }
}

const engines: EngineKind[] = hasCard() ? ['emulated', 'cuda'] : ['emulated'];
for (const engine of engines) {
  test(`the engine ${engine} gives the recorded values`, async () => {
    assert.is(await checkGolden(addon, engine), engine === 'emulated' ? 5 : 7);
  });

  test(`a thousand random challenges have the same roots, commits and openings on the CPU and on ${engine}`, async () => {
    const seed = process.env.GRAVAL_VECTORS ?? randomBytes(8).toString('hex');
    const difference = await firstDifference(addon, engine, { seed, count: 1000 });
    assert.is(difference, undefined, `GRAVAL_VECTORS=${seed}: ${JSON.stringify(difference)}`);
  });
}

test.run();
