import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as f from './fixtures.ts';
import { fastestStartup, startupOf } from './startup.ts';

const x = f.chute('x', { gpuCount: 2 });
const market = { imageGb: 20, modelGb: 100, modelKey: 'model', warmupMs: 30_000 };
const warm = { netMbps: 1000, diskReadGbps: 2, images: new Set([x.image]), models: new Set(['model']) };

test('what is on the server is not fetched: only then is a start warm', () => {
  const near = startupOf(x, market, 'h100', warm);
  const noModel = startupOf(x, market, 'h100', { ...warm, models: new Set<string>() });
  const noImage = startupOf(x, market, 'h100', { ...warm, images: new Set<string>() });
  assert.equal([near.cold, noModel.cold, noImage.cold], [false, true, true]);
  assert.ok(near.loading < noModel.loading && near.untilInstance === noModel.untilInstance);
  assert.ok(near.untilInstance < noImage.untilInstance && near.loading === noImage.loading);
});

test('what nobody told is estimated: a model grows with the GPUs, and is not taken for present', () => {
  const two = startupOf(x, undefined, 'h100', undefined);
  const four = startupOf({ ...x, gpuCount: 4 }, undefined, 'h100', undefined);
  assert.ok(two.cold && four.loading > two.loading && four.untilInstance === two.untilInstance);
});

test('the proof of a TEE chute is shorter, and an unknown GPU gets a middling one', () => {
  const seconds = (change: object, model: string) => startupOf({ ...x, ...change }, market, model, warm).loading * 3600;
  assert.is(Math.round(seconds({ tee: true }, 'h100')), 50 + 30 + 30);
  assert.is(Math.round(seconds({}, 'unheard of')), 50 + 30 + 75);
});

test('no start is faster than the bound', () => {
  for (const tee of [true, false]) {
    for (const model of ['h100', 'unheard of']) {
      for (const known of [market, undefined]) {
        const bound = fastestStartup({ ...x, tee }, known, model);
        const start = startupOf({ ...x, tee }, known, model, warm);
        assert.ok(bound.loading < start.loading && bound.untilInstance <= start.untilInstance);
      }
    }
  }
});

test.run();
