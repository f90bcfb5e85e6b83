import { parseValidatorEvent } from '@miner/controller/domain/event.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { NodeArgs } from './nodeargs.ts';
import { catalogue, itemsOf, type Listener, listen, minerKey, otherMinerKey, pause, send } from './testing.ts';
import { bringUp, claimAndProve, codes, launch, podCall, readyValidator } from './testingnode.ts';

type Ready = Awaited<ReturnType<typeof readyValidator>>;

function scenario(name: string, run: (ready: Ready & { gpu: NodeArgs[]; heard: Listener }) => Promise<void>): void {
  test(name, async () => {
    const ready = await readyValidator();
    const heard = await listen(ready.validator);
    try {
      await run({ ...ready, gpu: ready.devices, heard });
      for (const message of heard.messages) assert.ok(parseValidatorEvent(message, 'v'), message.reason);
    } finally {
      heard.socket.close();
      await ready.validator.close();
    }
  });
}

const tick = () => pause(130);
const reasons = ({ messages }: Listener) => messages.map(({ reason }) => reason);

async function own({ validator }: Ready) {
  return itemsOf(await send(validator.url, 'GET', '/miner/instances/', { tail: 'miner' }));
}

scenario('an update replaces own instances one at a time and ends those left on the old version', async (ready) => {
  const { validator, clock, chute, gpu, heard } = ready;
  for (const device of gpu.slice(0, 2)) await bringUp(validator, chute.chuteId, [device]);
  heard.messages.length = 0;
  const version = validator.updateChute(chute.chuteId);
  assert.is((await heard.next('chute_updated')).version, version);
  const [rolling] = (await send(validator.url, 'GET', '/chutes/rolling_updates')).json;
  assert.equal(
    [rolling.chute_id, rolling.old_version, rolling.new_version, rolling.permitted],
    [chute.chuteId, chute.version, version, { [minerKey.ss58]: 2 }],
  );
  assert.is(
    (await send(validator.url, 'GET', `/miner/chutes/${chute.chuteId}/${version}`, { tail: 'miner' })).status,
    200,
  );
  const expected = [
    ['chute_updated', 'rolling_update'],
    ['chute_updated', 'rolling_update', 'rolling_update'],
    ['chute_updated', 'rolling_update', 'rolling_update', 'instance_deleted', 'instance_deleted'],
  ];
  for (const list of expected) {
    clock.advance(300_000);
    await tick();
    assert.equal(reasons(heard), list);
  }
  assert.equal((await send(validator.url, 'GET', '/chutes/rolling_updates')).json, []);
  assert.equal([await own(ready), codes(validator)], [[], []]);
});

scenario('during an update the new version runs beside the old one, and the old launch is void', async (ready) => {
  const { validator, chute, gpu } = ready;
  validator.setTarget(chute.chuteId, 4);
  const old = await launch(validator, chute.chuteId);
  await bringUp(validator, chute.chuteId, gpu.slice(0, 1));
  const path = `/instances/launch_config?chute_id=${chute.chuteId}`;
  const status = async () => (await send(validator.url, 'GET', path, { tail: 'launch' })).status;
  assert.is(await status(), 423);
  const version = validator.updateChute(chute.chuteId);
  assert.is((await claimAndProve(validator, old, gpu.slice(1, 2))).status, 409);
  await bringUp(validator, chute.chuteId, gpu.slice(1, 2));
  assert.is(await status(), 423);
  assert.equal((await own(ready)).map((item) => item.version).sort(), [chute.version, version].sort());
});

scenario('an instance that was claimed before an update does not become active', async (ready) => {
  const { validator, chute, gpu, heard } = ready;
  const launched = await launch(validator, chute.chuteId);
  await claimAndProve(validator, launched, gpu.slice(0, 1));
  validator.updateChute(chute.chuteId);
  assert.is((await podCall(validator, launched, 'GET', undefined, '/activate')).status, 423);
  await heard.next('instance_deleted');
});

scenario('a deleted chute takes its instances along; a created one can be launched', async (ready) => {
  const { validator, chute, gpu, heard } = ready;
  await bringUp(validator, chute.chuteId, gpu.slice(0, 1));
  const entry = catalogue.chutes.get(chute.chuteId);
  assert.ok(entry);
  validator.deleteChute(chute.chuteId);
  await heard.next('instance_deleted');
  assert.equal(await heard.next('chute_deleted'), { chute_id: chute.chuteId, version: chute.version });
  assert.equal(codes(validator), []);
  validator.createChute(entry);
  assert.is((await heard.next('chute_created')).job_only, false);
  await bringUp(validator, chute.chuteId, gpu.slice(0, 1));
});

scenario('a job is offered, run once, and over after its time', async (ready) => {
  const { validator, clock, fits, gpu, heard } = ready;
  const worker = fits.find(({ name }) => name === 'gpu-shell-1x');
  assert.ok(worker);
  const jobId = validator.createJob({ chuteId: worker.chuteId, computeMultiplier: 3, durationSeconds: 600 });
  const offered = await heard.next('job_created');
  assert.equal([offered.job_id, offered.gpu_count, offered.compute_multiplier], [jobId, 1, 3]);
  assert.is(itemsOf(await send(validator.url, 'GET', '/miner/jobs/', { tail: 'miner' })).length, 1);
  const launched = await launch(validator, worker.chuteId, `&job_id=${jobId}`);
  const refused = await claimAndProve(validator, launched, gpu.slice(0, 1));
  assert.equal([refused.status, codes(validator)], [400, ['claim-ports']]);
  const again = `/instances/launch_config?chute_id=${worker.chuteId}&job_id=${jobId}`;
  assert.is((await send(validator.url, 'GET', again, { tail: 'launch' })).status, 403);
  assert.is(codes(validator).at(-1), 'job-retried');
  const excluding = { chuteId: worker.chuteId, durationSeconds: 600, exclude: [otherMinerKey.ss58] };
  const second = validator.createJob(excluding);
  const query = `&job_id=${second}`;
  const path = `/instances/launch_config?chute_id=${worker.chuteId}${query}`;
  assert.is((await send(validator.url, 'GET', path, { tail: 'launch', key: otherMinerKey })).status, 403);
  await bringUp(validator, worker.chuteId, gpu.slice(0, 1), query, [2202, 8080]);
  clock.advance(600_000);
  await tick();
  assert.is((await heard.next('job_deleted')).job_id, second);
  assert.equal(await own(ready), []);
  assert.is((await send(validator.url, 'GET', path, { tail: 'launch' })).status, 404);
});

scenario('a running job that is released is a violation and pays nothing', async (ready) => {
  const { validator, clock, fits, gpu } = ready;
  const worker = fits.find(({ name }) => name === 'gpu-shell-1x');
  assert.ok(worker);
  const jobId = validator.createJob({ chuteId: worker.chuteId });
  await bringUp(validator, worker.chuteId, gpu.slice(0, 1), `&job_id=${jobId}`, [2202, 8080]);
  clock.advance(3_600_000);
  assert.ok(validator.stats().score > 0);
  const release = (id: string) => send(validator.url, 'DELETE', `/miner/jobs/${id}`, { tail: 'miner' });
  assert.is((await release('nothing')).status, 404);
  assert.equal((await release(jobId)).json, null);
  assert.equal([codes(validator), validator.stats().score], [['job-removed'], 0]);
});

test('actions on what does not exist say so', async () => {
  const { validator } = await readyValidator();
  assert.throws(() => validator.updateChute('nothing'), /no chute nothing/);
  const withoutJobs = validator.chutes().find(({ jobOnly }) => !jobOnly);
  assert.throws(() => validator.createJob({ chuteId: withoutJobs?.chuteId ?? '' }), /has no jobs/);
  validator.terminateInstance('nothing', 'no error');
  await validator.close();
});

test.run();
