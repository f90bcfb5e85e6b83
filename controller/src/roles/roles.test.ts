import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Clock } from '../domain/clock.ts';
import { systemClock } from '../domain/clock.ts';
import type { ServerConfig } from '../domain/config.ts';
import type { MemberHealth } from '../domain/deployment.ts';
import type { LaunchGranted, LaunchRefused } from '../domain/ports.ts';
import type { Server } from '../domain/server.ts';
import * as f from '../gepetto/fixtures.ts';
import { createChuteKeeper } from './chutes.ts';
import { createInventory } from './inventory.ts';
import { createLauncher } from './launcher.ts';
import { startLoop } from './loop.ts';
import { statusOf } from './status.ts';
import { sweepSecrets } from './sweep.ts';

const fixed = { now: () => f.now };
const chute = f.chute('x');
const spec = f.spec(chute, f.servers.B, 0, { configId: undefined });

interface LaunchScene {
  answer?: LaunchGranted | LaunchRefused;
  secretFails?: boolean;
}

function launcherScene({
  answer = { granted: true, token: 'tok', configId: 'cfg' },
  secretFails = false,
}: LaunchScene = {}) {
  const log: string[] = [];
  const launcher = createLauncher({
    clock: fixed,
    serverId: (name) => `id of ${name}`,
    validators: new Map([
      [
        f.validator,
        {
          async launchConfig(_chuteId: string, _jobId?: string, serverId?: string) {
            assert.is(serverId, 'id of b');
            return answer;
          },
        },
      ],
    ]),
    store: {
      addLifecycle: async (rows) => {
        log.push(...rows.map((row) => `row ${row.configId}`));
      },
      mark: async (step) => {
        log.push(step);
      },
    },
    members: {
      writeLaunchSecret: async (member, _id, token) => {
        if (secretFails) throw new Error('cluster down');
        log.push(`secret ${member} ${token}`);
      },
      deleteLaunchSecret: async (member) => {
        log.push(`delete ${member}`);
      },
    },
  });
  return { launcher, log };
}

test('a launch stores the config id before the Secret exists, so that events find the row', async () => {
  const { launcher, log } = launcherScene();
  assert.equal(await launcher.launch([spec]), [{ granted: true, configId: 'cfg' }]);
  assert.equal(log, ['row cfg', 'secret b tok', 'secretAt']);
});

test('a refused token leaves no trace', async () => {
  const refusal: LaunchRefused = { granted: false, status: 423, detail: 'full' };
  const { launcher, log } = launcherScene({ answer: refusal });
  assert.equal(await launcher.launch([spec]), [refusal]);
  assert.equal(log, []);
});

test('a member that takes no Secret fails that launch only, and says so without the token', async () => {
  const { launcher } = launcherScene({ secretFails: true });
  const [outcome] = await launcher.launch([spec]);
  assert.ok(outcome && !outcome.granted);
  assert.is(outcome.status, -1);
  assert.not(JSON.stringify(outcome).includes('tok'));
});

test('a deployment of an unknown validator is not launched', async () => {
  const { launcher } = launcherScene();
  const [outcome] = await launcher.launch([{ ...spec, validator: 'other' }]);
  assert.is(outcome?.granted, false);
});

test('a cancelled launch takes its Secret back', async () => {
  const { launcher, log } = launcherScene();
  await launcher.cancel([spec]);
  assert.equal(log, ['delete b']);
});

function healthy(...names: string[]): Map<string, MemberHealth> {
  return new Map(names.map((name) => [name, { state: 'healthy', since: 0, syncedAt: f.now }]));
}

test('Secrets of active and of unwanted deployments are swept, those of launching ones stay', async () => {
  const [launching, active, unwanted, uncommitted, forgotten] = [0, 1, 2, 3, 4].map((i) =>
    f.spec(chute, f.servers.B, i),
  ) as [typeof spec, typeof spec, typeof spec, typeof spec, typeof spec];
  const fresh = { activatedAt: undefined };
  const rows = [
    f.row(launching, fresh),
    f.row(active),
    f.row(unwanted, { ...fresh, removedAt: f.now }),
    f.row(uncommitted, { ...fresh, committedAt: undefined }),
  ];
  const onLive = [launching, active, forgotten];
  const secrets = [launching, active, unwanted, uncommitted, forgotten].map((one) => one.deploymentId);
  const deleted: string[] = [];
  const messages: string[] = [];
  const health = healthy('b', 'broken').set('silent', { state: 'unhealthy', since: 0, syncedAt: undefined });
  const count = await sweepSecrets({
    repo: {
      readLive: async () => ({ commit: 'l', deployments: new Map(onLive.map((one) => [one.deploymentId, one])) }),
    },
    store: { lifecycles: async () => rows },
    members: {
      observe: () => ({ pods: [], health }),
      launchSecrets: async (member) => {
        if (member === 'broken') throw new Error('timeout');
        assert.is(member, 'b', 'a silent member is not asked');
        return [...secrets, 'nobody'];
      },
      deleteLaunchSecret: async (_member, deploymentId) => {
        deleted.push(deploymentId);
      },
    },
    log: (message) => messages.push(message),
  });
  assert.is(count, 3);
  assert.equal(deleted, [active.deploymentId, unwanted.deploymentId, 'nobody']);
  assert.match(messages[0] ?? '', /broken not swept: timeout/);
});

test('passes run one after the other; wakes during a pass make one more', async () => {
  let running = 0;
  let passes = 0;
  const loop = startLoop({
    clock: systemClock,
    intervalMs: 60_000,
    settleMs: 1,
    async pass() {
      running += 1;
      assert.is(running, 1, 'never two at once');
      passes += 1;
      if (passes === 1) for (let i = 0; i < 5; i++) loop.wake();
      await new Promise((resolve) => setTimeout(resolve, 5));
      running -= 1;
      return false;
    },
    onError: (error) => {
      throw error;
    },
  });
  await new Promise((resolve) => setTimeout(resolve, 60));
  await loop.stop();
  assert.is(passes, 2);
});

test('a pass that fails is reported and the next one runs', async () => {
  const errors: unknown[] = [];
  let passes = 0;
  const loop = startLoop({
    clock: systemClock,
    intervalMs: 5,
    settleMs: 0,
    async pass() {
      passes += 1;
      if (passes === 1) throw new Error('git is down');
      return false;
    },
    onError: (error) => errors.push(error),
  });
  await new Promise((resolve) => setTimeout(resolve, 60));
  await loop.stop();
  assert.ok(passes >= 2);
  assert.is(errors.length, 1);
});

interface InventoryScene {
  health?: Map<string, MemberHealth>;
  fails?: boolean;
  busy?: readonly string[];
}

function inventoryScene({ health = new Map(), fails = false, busy = [] }: InventoryScene = {}) {
  const log: string[] = [];
  let at = f.now;
  const clock: Clock = { now: () => at, sleep: async () => undefined };
  const inventory = createInventory({
    clock,
    members: {
      observe: () => ({ pods: [], health }),
      add: async (name, kubeconfig) => {
        log.push(`attach ${name} ${kubeconfig}`);
      },
    },
    fetchKubeconfig: async (agentApi) => {
      log.push(`fetch ${agentApi}`);
      if (fails) throw new Error('refused');
      return 'config';
    },
    nodes: {
      addNode: async (server) => {
        log.push(`add ${server.name}`);
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

test('an agent that does not answer is asked again after a minute, not at once', async () => {
  const { reconcile, log, pass } = inventoryScene({ fails: true });
  for (const wait of [0, 1000, 60_000]) {
    pass(wait);
    await reconcile([f.servers.B], ['b']);
  }
  assert.is(log.filter((line) => line.startsWith('fetch')).length, 2);
  assert.match(log[1] ?? '', /server b: refused; trying again in 60 s/);
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

test('chutes are saved when they are new or different, and again when saving failed', async () => {
  const saves: string[][] = [];
  let fails = true;
  const keep = createChuteKeeper({
    async saveChutes(chutes) {
      if (fails) throw new Error('database away');
      saves.push(chutes.map(({ name }) => name));
    },
  });
  const feedsOf = (...names: string[]) => f.world({ chutes: names.map((name) => f.chute(name)) }).feeds;
  await keep(feedsOf('x', 'y')).catch(() => undefined);
  fails = false;
  await keep(feedsOf('x', 'y'));
  await keep(feedsOf('x', 'y'));
  await keep(feedsOf('x', 'z'));
  await keep(f.world({ chutes: [f.chute('x', { bounty: 7 })] }).feeds);
  assert.equal(saves, [['x', 'y'], ['z'], ['x']]);
});

test('the status tells servers, deployments with their phase, and decisions with their reason', () => {
  const running = f.spec(chute, f.servers.B);
  const world = f.world({ chutes: [chute], running: [running] });
  const status = statusOf({
    now: f.now,
    hotkey: f.miner,
    snapshot: { world, policy: f.policy(), configCommit: 'm', live: { commit: 'l', deployments: world.desired } },
    decisions: [
      {
        decisionId: 'd',
        decidedAt: 1,
        commit: 'c',
        decision: {
          kind: 'remove',
          decisionId: 'd',
          spec: running,
          reason: 'operator',
          because: 'a person asked for it',
        },
      },
    ],
    held: ['waits'],
    connected: () => true,
  });
  assert.equal(status.servers[0], {
    name: 'b',
    gpuShortRef: 'h100',
    gpus: 8,
    gpusUsed: 1,
    gpusVerified: 8,
    costPerHour: 16,
    health: 'healthy',
    locked: false,
  });
  assert.is(status.deployments[0]?.phase, 'active');
  assert.is(status.decisions[0]?.because, 'a person asked for it');
  assert.equal(status.held, ['waits']);
});

test.run();
