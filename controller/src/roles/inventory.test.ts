// Servers by files on main, and members by agents.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Clock } from '../domain/clock.ts';
import type { ServerConfig } from '../domain/config.ts';
import type { MemberHealth, ObservedPod } from '../domain/deployment.ts';
import type { Server } from '../domain/server.ts';
import * as f from '../gepetto/fixtures.ts';
import { createInventory } from './inventory.ts';
import { healthy } from './testing/healthy.ts';

interface InventoryScene {
  health?: Map<string, MemberHealth>;
  fails?: boolean;
  busy?: readonly string[];
  /** Names with a file on the tip of main; default: those that are given to `reconcile`. */
  tip?: readonly string[] | 'faulty';
  onFetch?: () => void;
  pods?: readonly ObservedPod[];
}

function inventoryScene({
  health = new Map(),
  fails = false,
  busy = [],
  tip,
  onFetch,
  pods = [],
}: InventoryScene = {}) {
  const log: string[] = [];
  let given: readonly string[] = [];
  let at = f.now;
  const clock: Clock = { now: () => at, sleep: async () => undefined };
  const inventory = createInventory({
    clock,
    members: {
      observe: () => ({ pods, health }),
      add: async (name, kubeconfig) => {
        log.push(`attach ${name} ${kubeconfig}`);
      },
    },
    async configuredNow(name) {
      if (tip === 'faulty') throw new Error('miner.yaml cannot be read');
      return (tip ?? given).includes(name) ? configured(name) : undefined;
    },
    fetchKubeconfig: async (agentApi) => {
      log.push(`fetch ${agentApi}`);
      onFetch?.();
      if (fails) throw new Error('refused');
      return 'config';
    },
    nodes: {
      addNode: async (server) => {
        log.push(`add ${server.name}`);
      },
      verifyAgain: async (server) => {
        log.push(`verify ${server.name}`);
      },
      deleteNode: async (name) => {
        log.push(`delete ${name}`);
      },
      busy: (name) => busy.includes(name),
    },
    signal: new AbortController().signal,
    log: { info: () => undefined, warn: (...words: unknown[]) => log.push(String(words.at(-1))) },
  });
  function reconcile(servers: readonly Server[], files: readonly string[]): Promise<void> {
    given = files;
    inventory.reconcile(servers, new Map(files.map((name) => [name, configured(name)])), 0.25);
    return inventory.settled();
  }
  return { inventory, reconcile, log, pass: (ms: number) => (at += ms) };
}

const configured = (name: string): ServerConfig => ({
  name,
  validator: f.validator,
  hourlyCost: 1,
  gpuShortRef: 'h100',
  agentApi: `http://${name}:32000`,
  locked: false,
});

test('a known server without a watch is attached with a fresh kubeconfig', async () => {
  const { reconcile, log } = inventoryScene();
  await reconcile([f.servers.B], ['b']);
  assert.equal(log, ['fetch http://b:32000', 'attach b config']);
});

test('a member that is watched is left alone, one that was silent for long is attached again', async () => {
  const health = healthy('b');
  const { reconcile, log } = inventoryScene({ health });
  await reconcile([f.servers.B], ['b']);
  assert.equal(log, []);
  health.set('b', { state: 'unhealthy', since: f.now - 301_000, syncedAt: undefined });
  await reconcile([f.servers.B], ['b']);
  assert.equal(log, ['fetch http://b:32000', 'attach b config']);
});

test('an agent that does not answer is asked again soon, then later and later, at most once a minute', async () => {
  const { reconcile, log, pass } = inventoryScene({ fails: true });
  const pauses = [10, 20, 40, 60, 60];
  await reconcile([f.servers.B], ['b']);
  for (const seconds of pauses) {
    pass(seconds * 1000 - 1);
    await reconcile([f.servers.B], ['b']);
    pass(1);
    await reconcile([f.servers.B], ['b']);
  }
  assert.is(log.filter((line) => line.startsWith('fetch')).length, 1 + pauses.length);
  const told = log.filter((line) => line.startsWith('server b')).slice(0, pauses.length);
  assert.equal(
    told,
    pauses.map((seconds) => `server b: refused; trying again in ${seconds} s`),
  );
});

test('a node that takes no pods is told, with what to look at', () => {
  const seen = { state: 'healthy', since: 0, syncedAt: f.now } as const;
  const { inventory } = inventoryScene({ health: new Map([['b', { ...seen, closed: 'its node is cordoned' }]]) });
  assert.equal(inventory.held(), ['server b gets nothing new: its node is cordoned (kubectl describe node b)']);
});

test('a server that appears on main by hand is added like one through the API', async () => {
  const { reconcile, log } = inventoryScene({ health: healthy('b') });
  await reconcile([f.servers.B], ['b', 'new']);
  assert.equal(log, ['add new']);
});

test('a server whose file is taken away on main is deleted like one through the API', async () => {
  const { reconcile, log } = inventoryScene({ health: healthy('b') });
  await reconcile([f.servers.B], []);
  assert.equal(log, ['has no file under servers/ on main: deleted', 'delete b']);
});

test('a server that is being added has its row before its file, and is left alone', async () => {
  const { reconcile, log } = inventoryScene({ health: healthy('b'), busy: ['b', 'c'] });
  await reconcile([f.servers.B], ['c']);
  assert.equal(log, []);
});

test('many files that go away at once delete nothing and are reported', async () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l'];
  const servers = names.map((name) => ({ ...f.servers.B, name }));
  const { inventory, reconcile, log } = inventoryScene({ health: healthy(...names) });
  await reconcile(servers, names.slice(4));
  assert.equal(log, []);
  assert.match(inventory.held()[0] ?? '', /4 of 12 servers have no file .*removalShare \(0.25\)/);
  await reconcile(servers, names.slice(3));
  assert.equal(inventory.held(), []);
  assert.equal(
    log.filter((line) => line.startsWith('delete')),
    ['delete a', 'delete b', 'delete c'],
  );
});

test('a server that was added or deleted while the lists were read is left alone', async () => {
  const added = inventoryScene({ health: healthy('b'), tip: ['b'] });
  await added.reconcile([f.servers.B], []);
  assert.equal(added.log, []);
  const deleted = inventoryScene({ tip: [] });
  await deleted.reconcile([], ['b']);
  assert.equal(deleted.log, []);
});

test('while the tip of main cannot be read, nothing is added and nothing deleted', async () => {
  const { reconcile, log } = inventoryScene({ health: healthy('b'), tip: 'faulty' });
  await reconcile([f.servers.B], ['new']);
  assert.equal(log, [
    'server new: miner.yaml cannot be read; trying again in 10 s',
    'server b: miner.yaml cannot be read; trying again in 10 s',
  ]);
});

test('a server that was attached just now is deleted at once when its file goes', async () => {
  const { reconcile, log } = inventoryScene();
  await reconcile([f.servers.B], ['b']);
  await reconcile([f.servers.B], []);
  assert.is(log.at(-1), 'delete b');
});

test('a server that is deleted while its agent is asked is not attached', async () => {
  const busy: string[] = [];
  const { reconcile, log } = inventoryScene({ busy, onFetch: () => busy.push('b') });
  await reconcile([f.servers.B], ['b']);
  assert.equal(log, ['fetch http://b:32000']);
});

test('a cordoned server that nothing runs on is verified again, and people are told of it', async () => {
  const cordoned = { ...f.servers.B, cordoned: 'the node has 7 GPUs, 8 were verified' };
  const { inventory, reconcile, log } = inventoryScene({ health: healthy('b') });
  await reconcile([cordoned], ['b']);
  assert.equal(log, ['verify b']);
  assert.match(inventory.held()[0] ?? '', /server b is cordoned: the node has 7 GPUs/);
  await reconcile([f.servers.B], ['b']);
  assert.equal(inventory.held(), []);
});

const waits: [what: string, scene: InventoryScene][] = [
  ['while a chute still runs on it', { health: healthy('b'), pods: [{ server: 'b' } as ObservedPod] }],
  ['while its cluster does not answer', {}],
  ['while it is being verified', { health: healthy('b'), busy: ['b'] }],
];
for (const [what, scene] of waits) {
  test(`a cordoned server is not verified again ${what}`, async () => {
    const { reconcile, log } = inventoryScene(scene);
    await reconcile([{ ...f.servers.B, cordoned: 'changed' }], ['b']);
    assert.not(log.some((line) => line.startsWith('verify')));
  });
}

test.run();
