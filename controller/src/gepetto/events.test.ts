import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MinerEvent } from '../domain/event.ts';
import { handleEvent } from './events.ts';
import { miner, validator } from './fixtures.ts';

async function effectsOf(event: MinerEvent): Promise<string[]> {
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
    },
    refresh: () => log.push('refresh'),
    rolling: (instanceId) => log.push(`rolling ${instanceId}`),
    suspectGone: (_validator, chuteId, version) => log.push(`suspect ${chuteId} ${version}`),
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
    effects: ['instanceGoneAt i c 5'],
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
  { name: 'image_created does nothing', event: { type: 'image_created', data: { image_id: 'm' } }, effects: [] },
];

for (const { name, event, effects } of cases) {
  test(name, async () => {
    assert.equal(await effectsOf({ ...event, validator } as unknown as MinerEvent), effects);
  });
}

test.run();
