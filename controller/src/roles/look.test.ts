import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { minerConfig } from '../domain/config.ts';
import { MinerError } from '../domain/errors.ts';
import type { MainTree } from '../domain/ports.ts';
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

test.run();
