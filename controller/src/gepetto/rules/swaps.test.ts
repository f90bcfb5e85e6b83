// Swaps and rolling updates as whole passes: who is touched when, and what a refusal or a crash leaves behind.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Chute } from '../../domain/chute.ts';
import { lifecycleOf } from '../../domain/lifecycle.ts';
import { handleEvent } from '../events.ts';
import * as f from '../fixtures.ts';
import { createModel, type ModelOptions } from './model.ts';

const hour = 60 * f.minute;
const small = f.server('b', { count: 1 });
const old = f.chute('old', { effectiveComputeMultiplier: 0.5 });
const rich = f.chute('rich', { effectiveComputeMultiplier: 4 });

/** `old` runs on the only GPU for five hours; then `rich` appears. */
async function beforeSwap(options: Partial<ModelOptions> = {}) {
  const model = createModel({ servers: [small], chutes: [old], ...options });
  model.foreign.set(old.chuteId, 3);
  await model.pass();
  model.settle();
  model.wait(5 * hour);
  await model.pass();
  model.chutes.set(rich.chuteId, rich);
  model.log.length = 0;
  return model;
}

test('W6 a swap is token, removal, drained pod, newcomer: in this order', async () => {
  const model = await beforeSwap();
  await model.pass();
  assert.equal(model.log, ['token rich v1', '- old v1']);
  model.sync();
  model.wait(f.minute);
  await model.pass();
  assert.equal(model.log.length, 2, 'the old pod still has the GPU');
  model.drain();
  model.wait(f.minute);
  for (let i = 0; i < 2; i++) await model.pass();
  assert.equal(model.log, ['token rich v1', '- old v1', '+ rich v1']);
  assert.is(model.live().size, 1);
  const result = await model.pass();
  assert.equal(result?.committed, []);
});

test('B16 W6 W9 a refused token touches no victim and spends nothing else', async () => {
  const model = await beforeSwap({ refuse: ({ chuteName }) => (chuteName === 'rich' ? 423 : undefined) });
  await model.pass();
  assert.equal(model.log, ['423 rich v1']);
  assert.is(model.live().size, 1);
});

test('B10 with a list of the instances of all miners that is minutes old nobody is preempted', async () => {
  const model = await beforeSwap();
  model.staleFeeds(true);
  model.wait(6 * f.minute);
  await model.pass();
  assert.equal(model.log, []);
  model.staleFeeds(false);
  await model.pass();
  assert.equal(model.log, ['token rich v1', '- old v1']);
});

test('W13 without a bounty or a job, too, a poor chute gives way to a richer one', async () => {
  const model = await beforeSwap();
  assert.is(rich.bounty, 0);
  await model.pass();
  assert.ok(model.log.includes('- old v1'));
});

test('W30 a pass looks once, whatever it finds', async () => {
  let looks = 0;
  const model = await beforeSwap({ onLook: () => looks++ });
  looks = 0;
  await model.pass();
  assert.is(looks, 1);
});

test('W24 copies of an event and late ones change nothing: the first of each thing stays', async () => {
  const model = createModel({ servers: [small], chutes: [old] });
  await model.pass();
  model.settle();
  const [row] = model.rows.values();
  assert.ok(row?.configId && row.instanceId);
  const { configId, instanceId } = row;
  const before = structuredClone(row);
  const effects = { ...model.effects, hotkey: f.miner };
  model.wait(f.minute);
  for (let copy = 0; copy < 3; copy++) {
    const own = { miner_hotkey: f.miner };
    const created = { ...own, config_id: configId, instance_id: instanceId };
    await handleEvent({ type: 'instance_created', validator: f.validator, data: created }, effects);
    await handleEvent({ type: 'instance_verified', validator: f.validator, data: created }, effects);
    await handleEvent({ type: 'instance_activated', validator: f.validator, data: created }, effects);
  }
  assert.equal(structuredClone(row), before);
});

test('E16 the event that a server was deleted removes nothing by itself: the commit of the person does', async () => {
  const model = createModel({ servers: [small], chutes: [old] });
  await model.pass();
  model.settle();
  const effects = { ...model.effects, hotkey: f.miner };
  await handleEvent({ type: 'server_deleted', data: { server_id: small.serverId } }, effects);
  for (let i = 0; i < 3; i++) {
    model.wait(f.minute);
    await model.pass();
  }
  assert.is(model.live().size, 1);
});

test('W5 a crash between removal and newcomer gives the token back and fills the GPU anew', async () => {
  const model = await beforeSwap();
  await model.pass();
  model.forget();
  model.settle();
  for (let i = 0; i < 6; i++) {
    model.wait(f.minute);
    await model.pass();
  }
  assert.equal(
    [...model.live().values()].map(({ chuteName }) => chuteName),
    ['rich'],
  );
  assert.is([...model.rows.values()].filter((row) => row.goneAt === undefined).length, 1);
});

test('W3 a newcomer whose victim never drains gives its token back after an hour', async () => {
  const model = await beforeSwap();
  await model.pass();
  model.sync();
  assert.is(model.memory().waiting?.length, 1);
  model.wait(hour);
  await model.pass();
  assert.equal(model.memory().waiting, []);
  assert.is(model.live().size, 0);
});

/** `count` GPUs on the server, one of them with x at v1 for five hours; then the validator rolls it over to v2. */
async function rollingScene(count: number, change: Partial<Chute> = {}, refuse?: ModelOptions['refuse']) {
  const x = f.chute('x');
  const model = createModel({ servers: [f.server('b', { count })], chutes: [x], ...(refuse && { refuse }) });
  await model.pass();
  model.settle();
  model.wait(5 * hour);
  const blocker = { ...x, ...change, version: 'v2' };
  model.chutes.set(x.chuteId, { ...blocker, effectiveComputeMultiplier: 0 });
  await model.pass();
  model.chutes.set(x.chuteId, blocker);
  for (const instanceId of model.instances.keys()) model.rolling.add(instanceId);
  model.log.length = 0;
  return model;
}

async function rounds(model: Awaited<ReturnType<typeof rollingScene>>, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await model.pass();
    model.settle();
    model.wait(2 * f.minute);
  }
}

test('E6 without room a rolling update takes the place of the old one: token first, then removal, then the new version', async () => {
  const model = await rollingScene(1);
  await rounds(model, 5);
  assert.equal(model.log, ['token x v2', '- x v1', '+ x v2']);
});

test('E6 with room the new version runs before the old one goes', async () => {
  const model = await rollingScene(2);
  // The next deployment of the filled fleet would be a second one: not what this is about.
  await model.pass();
  assert.equal(model.log, ['token x v2', '+ x v2']);
  await model.pass();
  assert.is(model.log.length, 2, 'the new one is not active yet');
  model.settle();
  await model.pass();
  assert.ok(model.log.includes('- x v1'));
});

test('E6 W32 a refused token leaves the old version running', async () => {
  const model = await rollingScene(1, {}, ({ version }) => (version === 'v2' ? 423 : undefined));
  await rounds(model, 3);
  assert.not(model.log.some((line) => line.startsWith('-')));
  assert.is(model.live().size, 1);
});

test('E7 W7 what the server does not suit any more is removed there and planned elsewhere', async () => {
  const model = await rollingScene(1, { supportedGpus: ['h200'] });
  await rounds(model, 2);
  assert.equal(model.log, ['- x v1']);
});

test('E8 a rolling update of an instance that is not ours touches nothing', async () => {
  const model = await rollingScene(1);
  model.rolling.clear();
  model.rolling.add(f.id('somebody else'));
  model.chutes.clear();
  await rounds(model, 3);
  assert.equal(model.log, []);
});

test('E9 old and new version run side by side, and each valid termination is refilled at once', async () => {
  const x = f.chute('x');
  const model = createModel({ servers: [f.server('b', { count: 2 })], chutes: [x] });
  await model.pass();
  model.settle();
  await model.pass();
  model.settle();
  assert.is(model.live().size, 2);
  model.wait(5 * hour);
  model.chutes.set(x.chuteId, { ...x, version: 'v2' });
  model.log.length = 0;
  await rounds(model, 2);
  assert.equal(model.log, [], 'an update of the chute ends nothing');
  const [row] = model.rows.values();
  model.instances.delete(row?.instanceId ?? '');
  if (row) row.instanceGoneAt = model.now();
  await rounds(model, 3);
  assert.equal(model.log, ['- x v1', 'token x v2', '+ x v2']);
  assert.equal([...model.live().values()].map(({ version }) => version).sort(), ['v1', 'v2']);
});

const rental = f.chute('rental', { jobOnly: true });

function offer(model: ReturnType<typeof createModel>, change = {}) {
  const jobId = f.id('job');
  const terms = { jobId, chuteId: rental.chuteId, gpuCount: 1, computeMultiplier: 3, diskGb: 10, excluded: [] };
  model.jobs.set(jobId, { ...terms, attempted: false, ...change });
  return jobId;
}

test('E11 a rental that excludes this miner is not asked for', async () => {
  const model = createModel({ servers: [small], chutes: [rental] });
  offer(model, { excluded: [f.miner] });
  await model.pass();
  assert.equal(model.log, []);
});

test('E13 a rental that would need a protected victim costs no attempt', async () => {
  const kept = f.chute('kept', { preemptible: false });
  const model = createModel({ servers: [small], chutes: [kept, rental] });
  await model.pass();
  model.settle();
  model.wait(5 * hour);
  model.log.length = 0;
  offer(model);
  await model.pass();
  assert.equal(model.log, []);
});

test('E14 a rental that fails before it is active is removed and released, and never asked for again', async () => {
  const model = createModel({ servers: [small], chutes: [rental] });
  const jobId = offer(model);
  await model.pass();
  model.sync();
  for (const [id, pod] of model.pods) model.pods.set(id, { ...pod, phase: 'Failed' });
  for (let i = 0; i < 4; i++) {
    model.wait(20 * f.minute);
    await model.pass();
    model.settle();
  }
  assert.equal(model.log, ['token rental v1', '+ rental v1', '- rental v1', `release ${jobId}`]);
});

test('E14 a validator that does not take the job back keeps nobody from going on', async () => {
  const model = createModel({ servers: [small], chutes: [rental], onRelease: () => Promise.reject(new Error('503')) });
  offer(model);
  await model.pass();
  model.sync();
  for (const [id, pod] of model.pods) model.pods.set(id, { ...pod, phase: 'Failed' });
  await model.pass();
  assert.is(model.live().size, 0);
  assert.match(model.log.at(-1) ?? '', /could not be released: 503/);
});

test('E14 a rental whose token is refused for good is not asked for again', async () => {
  const model = createModel({ servers: [small], chutes: [rental], refuse: () => 403 });
  offer(model);
  for (let i = 0; i < 4; i++) {
    await model.pass();
    model.wait(2 * hour);
  }
  assert.equal(model.log, ['403 rental v1']);
});

test('E15 W8 a rental placed by preemption carries its job id and is protected', async () => {
  const model = await beforeSwap();
  model.chutes.delete(rich.chuteId);
  model.chutes.set(rental.chuteId, rental);
  const jobId = offer(model, { computeMultiplier: 30 });
  await model.pass();
  model.settle();
  model.wait(2 * f.minute);
  for (let i = 0; i < 3; i++) await model.pass();
  const [spec] = model.live().values();
  assert.is(spec?.jobId, jobId, model.log.join(', '));
  assert.is(spec?.preemptible, false);
  assert.is(spec && lifecycleOf(spec, 0).jobId, jobId);
});

test('R17 D8 a rental survives a new version of its chute', async () => {
  const model = createModel({ servers: [small], chutes: [rental] });
  offer(model);
  await model.pass();
  model.settle();
  model.chutes.set(rental.chuteId, { ...rental, version: 'v2' });
  for (const instanceId of model.instances.keys()) model.rolling.add(instanceId);
  for (let i = 0; i < 3; i++) {
    model.wait(f.minute);
    await model.pass();
  }
  assert.is(model.live().size, 1);
});

test.run();
