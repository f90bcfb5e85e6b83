import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hotkeyFromSeed } from '../sr25519.ts';
import { listen, minerKey, otherMinerKey, raw, send, testValidator } from './testing.ts';
import { bringUp, claimAndProve, claimBody, launch, podCall, readyValidator } from './testingnode.ts';

test('a blacklisted miner can neither add GPUs nor launch, and what it runs goes on', async () => {
  const { validator, chute, devices } = await readyValidator();
  const instanceId = await bringUp(validator, chute.chuteId, devices.slice(0, 1));
  validator.setBlacklisted(minerKey.ss58, true);
  const path = `/instances/launch_config?chute_id=${chute.chuteId}`;
  const nodes = devices.map((device) => ({ ...device, uuid: device.uuid.replaceAll('a', 'b') }));
  const add = () => send(validator.url, 'POST', '/nodes/', { body: { server_id: 'other', nodes } });
  assert.is((await send(validator.url, 'GET', path, { tail: 'launch' })).status, 403);
  assert.is((await add()).status, 403);
  assert.is(validator.stats().activeInstances, 1);
  const remove = `/instances/${chute.chuteId}/${instanceId}`;
  assert.is((await send(validator.url, 'DELETE', remove, { tail: 'instances' })).status, 200);
  validator.setBlacklisted(minerKey.ss58, false);
  assert.is((await send(validator.url, 'GET', path, { tail: 'launch' })).status, 200);
  assert.is((await add()).status, 202);
  await validator.close();
});

test('the inventory names, per GPU, its instance and when that was verified', async () => {
  const { validator, clock, chute, devices } = await readyValidator();
  clock.advance(60_000);
  const at = new Date(clock.now()).toISOString();
  await bringUp(validator, chute.chuteId, devices.slice(0, 1));
  const [busy, idle] = (await send(validator.url, 'GET', '/miner/inventory', { tail: 'miner' })).json;
  const { chuteId: chute_id, name: chute_name } = chute;
  const nobody = { last_verified_at: null, active: false, chute_id: null, chute_name: null };
  assert.equal(busy, {
    ...{ gpu_id: devices[0]?.uuid, verification_error: null },
    ...{ last_verified_at: at, active: true, chute_id, chute_name },
  });
  assert.equal(idle, { gpu_id: devices[1]?.uuid, verification_error: null, ...nobody });
  await validator.close();
});

test('the inventory is signed at newer validators; older ones believe the header', async () => {
  for (const [generation, status] of [
    ['v25', 200],
    ['v26', 401],
  ] as const) {
    const { validator } = await readyValidator({ generation });
    const answer = await raw(validator.url, 'GET', '/miner/inventory', { 'X-Chutes-Hotkey': minerKey.ss58 });
    assert.is(answer.status, status, generation);
    if (status === 200) assert.is(answer.json.length, 4);
    await validator.close();
  }
});

test('at most fifteen miners try for a job', async () => {
  const racers = Array.from({ length: 16 }, (_, i) => hotkeyFromSeed((0x30 + i).toString(16).repeat(32)));
  const { validator } = await testValidator({ registeredHotkeys: racers.map(({ ss58 }) => ss58) });
  const { chuteId } = validator.chutes().find(({ name }) => name === 'gpu-shell-1x') ?? { chuteId: '' };
  const path = `/instances/launch_config?chute_id=${chuteId}&job_id=${validator.createJob({ chuteId })}`;
  const answers = [];
  for (const key of racers) answers.push((await send(validator.url, 'GET', path, { tail: 'launch', key })).status);
  assert.equal(answers, [...Array(15).fill(200), 423]);
  await validator.close();
});

test('a job released before it runs is offered again, without its disk size, and to others only', async () => {
  const { validator, fits, devices } = await readyValidator();
  const { messages, socket } = await listen(validator);
  const { chuteId } = fits.find(({ name }) => name === 'gpu-shell-1x') ?? { chuteId: '' };
  const jobId = validator.createJob({ chuteId });
  const launched = await launch(validator, chuteId, `&job_id=${jobId}`);
  await claimAndProve(validator, launched, devices.slice(0, 1), [2202, 8080]);
  const release = () => send(validator.url, 'DELETE', `/miner/jobs/${jobId}`, { tail: 'miner' });
  assert.equal((await release()).json, null);
  await podCall(validator, launched, 'POST', claimBody(devices.slice(0, 1), [2202, 8080]));
  const offers = messages.filter(({ reason }) => reason === 'job_created').map(({ data }) => data);
  assert.equal(
    offers.map((data) => [data.job_id, 'disk_gb' in data]),
    [
      [jobId, true],
      [jobId, false],
    ],
  );
  const path = `/instances/launch_config?chute_id=${chuteId}&job_id=${jobId}`;
  assert.is((await send(validator.url, 'GET', path, { tail: 'launch' })).status, 403, 'one try for ever');
  assert.is((await send(validator.url, 'GET', path, { tail: 'launch', key: otherMinerKey })).status, 200);
  assert.equal(
    validator.stats().violations.map(({ code }) => code),
    ['job-retried'],
  );
  socket.close();
  await validator.close();
});

test.run();
