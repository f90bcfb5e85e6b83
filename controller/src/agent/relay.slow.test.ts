import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../domain/clock.ts';
import { createKube } from './kube.ts';
import { createMonitor } from './monitor.ts';
import { createRelay, type Relay } from './relay.ts';
import { readResources } from './resources.ts';
import {
  cluster,
  type FakeKube,
  type FakeMonitor,
  miner,
  startKube,
  startMonitor,
  startOther,
} from './testing/cluster.ts';
import { createUrlFile } from './urlfile.ts';

const silent = { info: () => undefined, warn: () => undefined };

/** Time stands still until `pass` wakes who sleeps. */
function makeClock() {
  const sleepers = new Set<() => void>();
  return {
    /** Length of every sleep, in order. */
    asked: [] as number[],
    now: () => Date.now(),
    sleep(ms: number, signal?: AbortSignal): Promise<void> {
      this.asked.push(ms);
      const { promise, resolve } = Promise.withResolvers<void>();
      sleepers.add(resolve);
      signal?.addEventListener('abort', () => resolve());
      return promise;
    },
    pass() {
      for (const wake of sleepers) wake();
      sleepers.clear();
    },
    async asleep(count: number) {
      const end = performance.now() + 20_000;
      while (this.asked.length < count && performance.now() < end) await systemClock.sleep(2);
    },
  };
}

interface Context {
  dir: string;
  kube: FakeKube;
  monitor: FakeMonitor;
  clock: ReturnType<typeof makeClock>;
  relay: Relay;
  /** Another agent on the same disk. */
  again(): Relay;
}

const test = suite<Context>('relay');

test.before.each(async (context) => {
  context.dir = await mkdtemp(join(tmpdir(), 'agent-'));
  context.kube = await startKube();
  context.monitor = await startMonitor();
  context.clock = makeClock();
  const kube = createKube(context.kube.config);
  context.again = () =>
    createRelay({
      cluster,
      urlFile: createUrlFile(context.dir),
      monitorAt: (url, signal) => createMonitor({ url, cluster, signer: miner, clock: context.clock, signal }),
      readResources: () => readResources(kube),
      clock: context.clock,
      random: () => 0.5,
      log: silent,
    });
  context.relay = context.again();
});
test.after.each(async ({ relay, kube, monitor, dir }) => {
  await relay.close();
  await kube.close();
  await monitor.close();
  await rm(dir, { recursive: true });
});

const urlIn = (dir: string) => readFile(join(dir, 'control_plane_url'), 'utf8').catch(() => undefined);

test('a monitor is told everything, then hears a heartbeat it can parse', async ({ relay, monitor, dir }) => {
  assert.is(relay.status().state, 'stopped');
  assert.is(await relay.start(monitor.url), 'Monitoring started');
  assert.is((await urlIn(dir))?.trim(), monitor.url);
  const { resources, heartbeat } = monitor.clusters.get(cluster) ?? {};
  assert.equal(resources?.jobs, [{ metadata: { name: 'chute-1' }, apiVersion: 'batch/v1', kind: 'Job' }]);
  assert.equal(Object.keys(resources ?? {}).sort(), ['deployments', 'jobs', 'nodes', 'pods', 'services']);
  assert.match(heartbeat ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$/);
  const { last_heartbeat, ...status } = relay.status();
  assert.equal(status, { cluster_id: cluster, state: 'running', error_message: null });
  assert.ok(Date.parse(last_heartbeat ?? '') > 0);
});

test('only what changed is told again, heartbeats go on', async ({ relay, monitor, kube, clock }) => {
  await relay.start(monitor.url);
  await clock.asleep(1);
  assert.equal(clock.asked, [30_000]);
  clock.pass();
  await clock.asleep(2);
  kube.replies['/api/v1/namespaces/chutes/pods'] = [200, { items: [] }];
  clock.pass();
  await clock.asleep(3);
  const own = `/api/v1/clusters/${cluster}`;
  const beat = `PUT ${own}/health 200`;
  assert.equal(monitor.took, [`POST ${own} 200`, beat, beat, `PUT ${own}/resources 200`, beat]);
  assert.equal(monitor.clusters.get(cluster)?.resources.pods, []);
});

test('a cluster that the monitor follows already is registered anew', async ({ relay, monitor }) => {
  monitor.clusters.set(cluster, { resources: {}, heartbeat: undefined, healthy: false });
  await relay.start(monitor.url);
  assert.equal(
    monitor.took.map((line) =>
      line
        .split(' ')
        .filter((word) => !word.startsWith('/'))
        .join(' '),
    ),
    ['POST 409', 'DELETE 200', 'POST 200', 'PUT 200'],
  );
});

for (const [what, lose] of [
  ['forgot the cluster', (monitor: FakeMonitor) => monitor.clusters.delete(cluster)],
  [
    'holds it for dead',
    (monitor: FakeMonitor) => Object.assign(monitor.clusters.get(cluster) ?? {}, { healthy: false }),
  ],
] as const) {
  test(`a monitor that ${what} is told everything anew`, async ({ relay, monitor, clock }) => {
    await relay.start(monitor.url);
    await clock.asleep(1);
    lose(monitor);
    clock.pass();
    await clock.asleep(2);
    assert.is(relay.status().state, 'degraded');
    assert.match(relay.status().error_message ?? '', /told anew/);
    clock.pass();
    await clock.asleep(3);
    assert.is(relay.status().state, 'running');
    assert.is(relay.status().error_message, null);
    assert.ok(monitor.clusters.get(cluster)?.healthy);
  });
}

test('a control plane that takes no reports is remembered and left alone', async ({ relay, dir, clock }) => {
  const other = await startOther();
  assert.match(await relay.start(other.url), /takes no reports/);
  assert.is(relay.status().state, 'running');
  assert.is(relay.status().last_heartbeat, null);
  assert.is((await urlIn(dir))?.trim(), other.url);
  assert.equal(clock.asked, []);
  assert.is(await relay.stop(), 'Monitoring stopped');
  await other.close();
});

test('one that does not answer is tried again, each time later, and found when it comes', async ({
  relay,
  dir,
  clock,
}) => {
  const gone = await startOther();
  const port = Number(new URL(gone.url).port);
  await gone.close();
  assert.match(
    String(await relay.start(gone.url).catch((error: unknown) => error)),
    /cannot be reached: .*ECONNREFUSED/,
  );
  assert.is(relay.status().state, 'degraded');
  assert.is((await urlIn(dir))?.trim(), gone.url, 'the URL stays');
  for (let i = 1; i <= 8; i++) {
    await clock.asleep(i);
    if (i < 8) clock.pass();
  }
  assert.equal(clock.asked, [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
  const monitor = await startMonitor(clock, port);
  clock.pass();
  await clock.asleep(9);
  assert.is(relay.status().state, 'running');
  assert.is(clock.asked.at(-1), 30_000);
  await monitor.close();
});

test('a failing Kubernetes API is a reason to try again, never an empty report', async ({ relay, kube, monitor }) => {
  kube.replies['/api/v1/nodes'] = [403, { kind: 'Status' }];
  assert.match(
    String(await relay.start(monitor.url).catch((error: unknown) => error)),
    /answered 403 to the list of nodes/,
  );
  assert.is(relay.status().state, 'degraded');
  assert.is(monitor.clusters.size, 0);
});

test('a monitor without the server in its inventory is left, and the URL forgotten', async ({
  relay,
  monitor,
  dir,
}) => {
  monitor.inventory.clear();
  assert.match(
    String(await relay.start(monitor.url).catch((error: unknown) => error)),
    /no server gpu-0 in its inventory/,
  );
  assert.is(relay.status().state, 'stopped');
  assert.is(await urlIn(dir), undefined);
  monitor.inventory.add(cluster);
  assert.is(await relay.start(monitor.url), 'Monitoring started');
});

test('it starts once, a failing one may be started elsewhere', async ({ relay, monitor, clock }) => {
  const gone = await startOther();
  await gone.close();
  await relay.start(gone.url).catch(() => undefined);
  await clock.asleep(1);
  await relay.start(monitor.url);
  assert.is(relay.status().state, 'running');
  const error = await relay.start(monitor.url).catch((reason: unknown) => reason);
  assert.is((error as { code?: string }).code, 'E-IN-USE');
  assert.is(monitor.took.filter((line) => line.startsWith('POST')).length, 1);
});

test('stopping says goodbye and forgets; a second stop has nothing to stop', async ({ relay, monitor, dir }) => {
  await relay.start(monitor.url);
  assert.is(await relay.stop(), 'Monitoring stopped');
  assert.is(monitor.clusters.size, 0);
  assert.is(await urlIn(dir), undefined);
  assert.equal(relay.status(), { cluster_id: cluster, state: 'stopped', error_message: null, last_heartbeat: null });
  const error = await relay.stop().catch((reason: unknown) => reason);
  assert.is((error as { code?: string }).code, 'E-IN-USE');
});

test('stopping works while the monitor is broken, and says so', async ({ relay, monitor, dir }) => {
  await relay.start(monitor.url);
  monitor.broken = 503;
  assert.match(await relay.stop(), /stopped, but not at the control plane: .*503/);
  assert.is(await urlIn(dir), undefined);
});

test('a restarted agent goes on where it was', async ({ relay, again, monitor, clock }) => {
  await relay.start(monitor.url);
  await relay.close();
  assert.ok(monitor.clusters.has(cluster), 'closing is not stopping');
  const restarted = again();
  await restarted.resume();
  await clock.asleep(2);
  assert.is(restarted.status().state, 'running');
  await restarted.close();
});

const contents: [string, string][] = [
  ['nothing', ''],
  ['no URL', 'http//x'],
  ['another scheme', 'file:///etc/passwd'],
];
for (const [what, text] of contents) {
  test(`a file with ${what} means waiting for a start`, async ({ relay, dir }) => {
    await writeFile(join(dir, 'control_plane_url'), text);
    await relay.resume();
    assert.is(relay.status().state, 'stopped');
  });
}

test('a disk that cannot be read is the one error that only a restart mends', async ({ relay, dir }) => {
  await rm(dir, { recursive: true });
  await writeFile(dir, 'a file where the folder should be');
  await relay.resume();
  assert.is(relay.status().state, 'error');
  assert.match(relay.status().error_message ?? '', /cannot be read: ENOTDIR/);
});

test('closing does not wait for a control plane that hangs', async ({ relay, dir }) => {
  const { createServer } = await import('node:http');
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  const asked = new Promise((resolve) => server.once('request', resolve));
  const started = relay.start(url).catch((error: unknown) => error);
  await asked;
  await relay.close();
  assert.match(String(await started), /ended before it had begun/);
  assert.is((await urlIn(dir))?.trim(), url);
  server.closeAllConnections();
  server.close();
});

test.run();
