import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../domain/clock.ts';
import type { LaunchGranted, LaunchRefused } from '../domain/ports.ts';
import * as f from '../gepetto/fixtures.ts';
import { createChuteKeeper } from './chutes.ts';
import { createLauncher } from './launcher.ts';
import { startLoop } from './loop.ts';
import { statusOf } from './status.ts';
import { sweepSecrets } from './sweep.ts';
import { healthy } from './testing/healthy.ts';

const fixed = { now: () => f.now };
const chute = f.chute('x');
const spec = f.spec(chute, f.servers.B, 0, { configId: undefined });

interface LaunchScene {
  answer?: LaunchGranted | LaunchRefused;
  secretFails?: boolean;
  /** Id of a deployment whose row the store does not take. */
  unstorable?: string;
}

function launcherScene({
  answer = { granted: true, token: 'tok', configId: 'cfg' },
  secretFails = false,
  unstorable,
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
        if (rows.some((row) => row.deploymentId === unstorable)) throw new Error('no such server');
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

test('a launch whose row is not stored fails alone: the others of the batch keep what they were granted', async () => {
  const other = f.spec(chute, f.servers.B, 1, { configId: undefined });
  const { launcher } = launcherScene({ unstorable: spec.deploymentId });
  assert.equal(await launcher.launch([spec, other]), [
    { granted: false, status: 0, detail: 'no such server' },
    { granted: true, configId: 'cfg' },
  ]);
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

async function seen(holds: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 20_000; !holds(); await systemClock.sleep(2)) {
    assert.ok(Date.now() < deadline, 'waited 20 s');
  }
}

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
  await seen(() => passes >= 2);
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
  await seen(() => passes >= 2);
  await loop.stop();
  assert.is(errors.length, 1);
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
    blocked: [],
    plannedWith: 'm',
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
