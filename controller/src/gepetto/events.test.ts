import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MinerEvent } from '../domain/event.ts';
import type { Verification } from '../domain/verification.ts';
import { handleEvent } from './events.ts';
import * as f from './fixtures.ts';
import { miner, validator } from './fixtures.ts';

const job = f.spec(f.chute('rental'), f.servers.B, 0, { jobId: 'j' });

async function effectsOf(event: MinerEvent, verifications: Partial<Verification>[] = []): Promise<string[]> {
  const log: string[] = [];
  await handleEvent(event, {
    hotkey: miner,
    now: () => 5,
    store: {
      linkInstance: async (configId, instanceId, at) => {
        log.push(`link ${configId} ${instanceId} ${at}`);
        return true;
      },
      markInstance: async (step, key, at) => {
        log.push(`${step} ${key.instanceId ?? '-'} ${key.configId ?? '-'} ${at}`);
        return true;
      },
      markGpusVerified: async (ids) => {
        log.push(`verified ${ids}`);
      },
      verifications: async () => verifications as Verification[],
      lifecycles: async () => [f.row(job), f.row(f.spec(f.chute('y'), f.servers.B, 1))],
      mark: async (step, ids, at) => {
        log.push(`${step} ${ids} ${at}`);
      },
    },
    refresh: () => log.push('refresh'),
    rolling: (instanceId) => log.push(`rolling ${instanceId}`),
    suspectGone: (_validator, chuteId, version) => log.push(`suspect ${chuteId} ${version}`),
    offers: {
      offer: (data, now) => log.push(`offer ${data.job_id} ${data.disk_gb} ${now}`),
      end: (jobId) => log.push(`end ${jobId}`),
    },
  });
  return log;
}

const own = { miner_hotkey: miner };
const other = { miner_hotkey: validator };

interface Case {
  name: string;
  event: { type: string; data: Record<string, unknown> };
  effects: string[];
}

const cases: Case[] = [
  {
    name: 'instance_created links the instance by its config id',
    event: { type: 'instance_created', data: { ...own, config_id: 'c', instance_id: 'i' } },
    effects: ['link c i 5'],
  },
  {
    name: 'E3 instance_created for another hotkey is ignored',
    event: { type: 'instance_created', data: { ...other, config_id: 'c', instance_id: 'i' } },
    effects: [],
  },
  {
    name: 'instance_verified marks the instance',
    event: { type: 'instance_verified', data: { ...own, instance_id: 'i' } },
    effects: ['verifiedAt i - 5'],
  },
  {
    name: 'instance_verified for another hotkey is ignored',
    event: { type: 'instance_verified', data: { ...other, instance_id: 'i' } },
    effects: [],
  },
  {
    name: 'instance_activated is found by its config id',
    event: { type: 'instance_activated', data: { config_id: 'c' } },
    effects: ['activatedAt - c 5'],
  },
  {
    name: 'E17 instance_deleted is found by instance or config id',
    event: { type: 'instance_deleted', data: { instance_id: 'i', config_id: 'c' } },
    effects: ['instanceGoneAt i c 5', 'refresh'],
  },
  {
    name: 'W22 gpu_verified marks that GPU',
    event: { type: 'gpu_verified', data: { gpu_id: 'g' } },
    effects: ['verified g'],
  },
  {
    name: 'rolling_update remembers the instance and looks again',
    event: { type: 'rolling_update', data: { chute_id: 'x', instance_id: 'i', new_version: 'v2' } },
    effects: ['rolling i', 'refresh'],
  },
  {
    name: 'chute_deleted is checked before anything is removed',
    event: { type: 'chute_deleted', data: { chute_id: 'x', version: 'v1' } },
    effects: ['suspect x v1', 'refresh'],
  },
  {
    name: 'bounty_change looks again',
    event: { type: 'bounty_change', data: { chute_id: 'x' } },
    effects: ['refresh'],
  },
  {
    name: 'job_created becomes an offer',
    event: { type: 'job_created', data: { chute_id: 'x', job_id: 'j', disk_gb: 10 } },
    effects: ['offer j 10 5'],
  },
  {
    name: 'job_deleted ends the offer and the deployment that runs it',
    event: { type: 'job_deleted', data: { job_id: 'j' } },
    effects: ['end j', `instanceGoneAt ${job.deploymentId} 5`],
  },
  {
    name: 'job_deleted for a job that nobody runs here only ends the offer',
    event: { type: 'job_deleted', data: { job_id: 'k' } },
    effects: ['end k'],
  },
  { name: 'server_deleted is only a hint', event: { type: 'server_deleted', data: { server_id: 's' } }, effects: [] },
  {
    name: 'chute_updated looks again and touches no deployment',
    event: { type: 'chute_updated', data: { chute_id: 'x', version: 'v2' } },
    effects: ['refresh'],
  },
  {
    name: 'image_updated looks again',
    event: { type: 'image_updated', data: { chute_ids: ['x'], image: 'user/x:2', chutes_version: '0.6.1' } },
    effects: ['refresh'],
  },
  { name: 'image_created does nothing', event: { type: 'image_created', data: { image_id: 'm' } }, effects: [] },
];

for (const { name, event, effects } of cases) {
  test(name, async () => {
    assert.equal(await effectsOf({ ...event, validator } as unknown as MinerEvent), effects);
  });
}

test('a GPU whose verification is under way is left to it: its pod still holds the GPU', async () => {
  const { seed: _, ...server } = f.servers.B;
  const [gpu, other] = server.gpus;
  assert.ok(gpu && other);
  const record = { facts: { server: { ...server, gpus: [gpu] } } };
  const verified = (gpuId: string) => ({ type: 'gpu_verified', validator, data: { gpu_id: gpuId } }) as MinerEvent;
  assert.equal(await effectsOf(verified(gpu.gpuId), [record]), []);
  assert.equal(await effectsOf(verified(other.gpuId), [record]), [`verified ${other.gpuId}`]);
});

test.run();
