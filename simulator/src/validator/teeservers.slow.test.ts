import { type GpuModel, gpuTable } from '@miner/controller/domain/gputable.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { CatalogueChute } from '../catalogue.ts';
import { catalogue, minerKey, otherMinerKey, send, testValidator } from './testing.ts';
import { claimAndProve, claimBody, codes, gpus, launch, podCall, readyValidator } from './testingnode.ts';

const h200 = gpuTable.find(({ ref }) => ref === 'h200') as GpuModel;
const host = '127.0.0.9';
const confidential = gpus(h200, 'NVIDIA H200', 8, 'c', 30_443, host);

function register(url: string, change: object = {}, key = minerKey) {
  return send(url, 'POST', '/servers/', { body: { host, id: 't', name: 'tee-1', gpus: confidential, ...change }, key });
}

test('a confidential server is taken in at once, listed as one, and deleted by name', async () => {
  const { validator } = await testValidator();
  assert.is((await register(validator.url)).status, 201);
  const { servers } = (await send(validator.url, 'GET', '/miner/servers/', { tail: 'miner' })).json;
  assert.equal([servers[0].name, servers[0].is_tee, servers[0].ip, servers[0].gpus.length], ['tee-1', true, host, 8]);
  assert.ok(servers[0].gpus.every((gpu: { verified_at: string | null }) => gpu.verified_at !== null));
  assert.is((await send(validator.url, 'DELETE', '/servers/tee-1', { tail: 'tee' })).status, 200);
  assert.is((await register(validator.url)).status, 201);
  await validator.close();
});

const other = (change: object) => confidential.map((gpu) => ({ ...gpu, ...change }));
const refusals: [what: string, change: object, status: number][] = [
  ['GPUs at another host', { gpus: other({ verification_host: '127.0.0.8' }) }, 400],
  ['another port than that of attestation', { gpus: other({ verification_port: 31_000 }) }, 400],
  ['GPUs that are something else', { gpus: other({ processors: 1 }) }, 400],
  ['no GPUs', { gpus: [] }, 400],
  ['no id', { id: undefined }, 422],
];
for (const [what, change, status] of refusals) {
  test(`a confidential server with ${what} is refused with ${status}`, async () => {
    const { validator } = await testValidator();
    assert.is((await register(validator.url, change)).status, status);
    await validator.close();
  });
}

test('a known GPU, a known address and a blacklisted miner are refused', async () => {
  const { validator } = await testValidator();
  await register(validator.url);
  assert.is((await register(validator.url, { id: 'u' }, otherMinerKey)).status, 409);
  const fresh = confidential.map((gpu) => ({ ...gpu, uuid: gpu.uuid.replaceAll('c', 'd') }));
  assert.is((await register(validator.url, { id: 'u', gpus: fresh })).status, 409, 'the address');
  validator.setBlacklisted(minerKey.ss58, true);
  assert.is((await register(validator.url, { id: 'u', gpus: fresh })).status, 403);
  await validator.close();
});

test('a chute that needs one is launched for a miner that has one, and runs on no other GPUs', async () => {
  const { validator, devices } = await readyValidator();
  const shell = [...catalogue.chutes.values()].find(({ item }) => item.name === 'gpu-shell-1x') as CatalogueChute;
  const chuteId = '00000000-0000-4000-8000-0000000000ee';
  validator.createChute({ ...shell, item: { ...shell.item, chute_id: chuteId, tee: true } });
  const jobId = validator.createJob({ chuteId });
  const path = `/instances/launch_config?chute_id=${chuteId}&job_id=${jobId}`;
  assert.is((await send(validator.url, 'GET', path, { tail: 'launch' })).status, 400);
  await register(validator.url);
  const launched = await launch(validator, chuteId, `&job_id=${jobId}`);
  const ports = [8002, 2202, 8080];
  assert.is((await podCall(validator, launched, 'POST', claimBody(devices.slice(0, 1), ports))).status, 403);
  assert.equal(codes(validator), ['gpu-not-confidential']);
  const second = validator.createJob({ chuteId });
  const again = await launch(validator, chuteId, `&job_id=${second}`);
  assert.is((await claimAndProve(validator, again, confidential.slice(0, 1), ports)).status, 200);
  await validator.close();
});

test('an older validator has no such route', async () => {
  const { validator } = await testValidator({ generation: 'v25' });
  assert.is((await register(validator.url)).status, 404);
  await validator.close();
});

test.run();
