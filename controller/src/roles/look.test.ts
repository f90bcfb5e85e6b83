import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { minerConfig } from '../domain/config.ts';
import { MinerError } from '../domain/errors.ts';
import type { MainTree } from '../domain/ports.ts';
import * as f from '../gepetto/fixtures.ts';
import { createLook } from './look.ts';

const address = '5Dt7HZ7Zpw4DppPxFM7Ke3Cm7sDAWhsZXmM5ZAmE7dSVJbcQ';
const config = minerConfig.parse({
  hotkey: address,
  validators: [{ hotkey: address, registry: 'r', api: 'http://v', socket: 'ws://v' }],
});

/** `main` as each snapshot finds it: a commit, or what is wrong with it. */
async function complaintsOver(states: readonly (MainTree | string)[]): Promise<{ told: string[]; used: string[] }> {
  const told: string[] = [];
  const used: string[] = [];
  let current: MainTree | string = good('first');
  const look = await createLook({
    hotkey: address,
    repo: {
      async readMain() {
        if (typeof current === 'string') throw new MinerError('E-CONFIG', current);
        return current;
      },
      readLastGoodMain: async () => good('first'),
      readLive: async () => ({ commit: 'l', deployments: new Map() }),
    },
    store: { servers: async () => [], lifecycles: async () => [], chutes: async () => [] },
    observe: () => ({ pods: [], health: new Map() }),
    feeds: () => new Map(),
    hints: { goneChutes: new Set(), rollingInstances: new Set() },
    clock: { now: () => 0 },
    onBadMain: (error) => told.push(error instanceof Error ? error.message : ''),
  });
  for (const state of states) {
    current = state;
    used.push((await look.snapshot()).configCommit);
  }
  return { told, used };
}

function good(commit: string): MainTree {
  return { commit, config, servers: new Map() };
}

test('a mistake on main is told once, not at every look, and the last good one goes on until it is mended', async () => {
  const { told, used } = await complaintsOver([good('a'), 'typo', 'typo', 'typo', good('b')]);
  assert.equal(told, ['typo']);
  assert.equal(used, ['a', 'a', 'a', 'a', 'b']);
});

test('another mistake is told, and so is the same one when it comes back', async () => {
  const { told } = await complaintsOver(['typo', 'other', 'other', good('b'), 'other']);
  assert.equal(told, ['typo', 'other', 'other']);
});

test('a main that names another hotkey is not taken over', async () => {
  const other = { ...good('b'), config: { ...config, hotkey: '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty' } };
  const { told, used } = await complaintsOver([good('a'), other, good('c')]);
  assert.match(told[0] ?? '', /miner\.yaml: hotkey: found 5FHneW46/);
  assert.equal(used, ['a', 'a', 'c']);
});

test('servers, rows and pods that say the same are the same objects in the next snapshot', async () => {
  const spec = f.spec(f.chute('x'), f.servers.B);
  let gone = false;
  const look = await createLook({
    hotkey: address,
    repo: {
      readMain: async () => good('a'),
      readLastGoodMain: async () => good('a'),
      readLive: async () => ({ commit: 'l', deployments: new Map() }),
    },
    store: {
      servers: async () => [structuredClone(f.servers.B)],
      lifecycles: async () => [f.row(spec, gone ? { instanceGoneAt: f.now } : {})],
      chutes: async () => [],
    },
    observe: () => ({ pods: [f.pod(spec)], health: new Map() }),
    feeds: () => new Map(),
    hints: { goneChutes: new Set(), rollingInstances: new Set() },
    clock: { now: () => f.now },
    onBadMain: () => undefined,
  });
  const [first, second] = [(await look.snapshot()).world, (await look.snapshot()).world];
  gone = true;
  const third = (await look.snapshot()).world;
  assert.is(second.servers[0], first.servers[0]);
  assert.is(second.pods[0], first.pods[0]);
  assert.is(second.lifecycles.get(spec.deploymentId), first.lifecycles.get(spec.deploymentId));
  assert.is(third.lifecycles.get(spec.deploymentId)?.instanceGoneAt, f.now);
});

test.run();
