import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { systemClock } from '../domain/clock.ts';
import type { ControllerLink, Observation } from '../domain/ports.ts';
import * as f from '../gepetto/fixtures.ts';
import { connectLink, type LinkClientOptions } from './client.ts';
import { decode, encode } from './protocol.ts';
import { serveLink } from './server.ts';

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
const chute = f.chute('x');
const spec = f.spec(chute, f.servers.B, 0, { configId: undefined });
const world = f.world({ chutes: [chute] });

/** Fields that are undefined do not travel. */
const travelled = (value: unknown) => decode(encode(value));

/** A controller whose every call is written down. */
function fakeController() {
  const calls: unknown[] = [];
  const listeners: (() => void)[] = [];
  let observation: Observation = { pods: [], health: world.health };
  const link: ControllerLink = {
    feeds: () => world.feeds,
    observe: () => observation,
    onChange: (listener) => void listeners.push(listener),
    async launch(specs) {
      calls.push(['launch', specs]);
      return specs.map(() => ({ granted: true, configId: 'cfg' }));
    },
    async cancel(specs) {
      calls.push(['cancel', specs.length]);
    },
    async deleteInstance(...names) {
      if (names[2] === 'broken') throw new Error('the validator said no');
      calls.push(['delete', ...names]);
    },
    async releaseJob(...names) {
      calls.push(['release', ...names]);
    },
    chute: async (_validator, chuteId) => (chuteId === chute.chuteId ? chute : undefined),
    refreshFeeds: () => void calls.push('refresh'),
    refreshApplications: (folders, commit) => void calls.push(['applications', commit, ...folders]),
    report: ({ configCommit, held, blocked, memory }) =>
      void calls.push(['report', configCommit, held, blocked, memory]),
  };
  function change(pods: Observation['pods']): void {
    observation = { ...observation, pods };
    for (const listener of listeners) listener();
  }
  return { link, calls, change };
}

async function scene(change: Partial<LinkClientOptions> = {}) {
  const controller = fakeController();
  const server = await serveLink({ link: controller.link, token: 'secret', log: quiet, host: '127.0.0.1', port: 0 });
  const client = await connectLink({
    url: server.url,
    token: 'secret',
    clock: { now: () => f.now },
    pause: systemClock,
    log: quiet,
    ...change,
  });
  async function close(): Promise<void> {
    await Promise.all([client.close(), server.close()]);
  }
  return { ...controller, server, client, close };
}

async function eventually(holds: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 20_000; !holds(); await systemClock.sleep(5)) {
    assert.ok(Date.now() < deadline, 'waited 20 s');
  }
}

test('Gepetto sees the same feeds and the same members as the controller', async () => {
  const { client, close } = await scene();
  assert.equal(client.link.feeds(), travelled(world.feeds));
  assert.equal(client.link.observe().health, world.health);
  await close();
});

test('a change at the controller wakes Gepetto with the new view', async () => {
  const { client, change, close } = await scene();
  const pod = f.pod(spec);
  let woken = 0;
  client.link.onChange(() => {
    woken += 1;
  });
  change([pod]);
  await eventually(() => client.link.observe().pods.length === 1);
  assert.equal(client.link.observe().pods, travelled([pod]));
  assert.ok(woken > 0);
  await close();
});

test('each half of the view is written out once for each of its changes, however many look', async () => {
  const written = { feeds: 0, pods: 0 };
  const counted = <T extends object>(value: T, half: keyof typeof written): T =>
    Object.defineProperty({ ...value }, 'toJSON', { value: () => ({ ...value, n: ++written[half] }) });
  const [[validator, feeds] = ['', undefined]] = world.feeds;
  assert.ok(feeds);
  const { link, change } = fakeController();
  const shown = new Map([[validator, counted(feeds, 'feeds')]]);
  const server = await serveLink({
    link: { ...link, feeds: () => new Map(shown) },
    token: 'secret',
    log: quiet,
    host: '127.0.0.1',
    port: 0,
  });
  const options = { url: server.url, token: 'secret', clock: { now: () => f.now }, pause: systemClock, log: quiet };
  const clients = await Promise.all([connectLink(options), connectLink(options), connectLink(options)]);
  for (let n = 1; n <= 3; n++) {
    change(Array.from({ length: n }, (_, i) => (i === 0 ? counted(f.pod(spec), 'pods') : f.pod(spec))));
    await eventually(() => clients.every(({ link: seen }) => seen.observe().pods.length === n));
  }
  assert.equal(written, { feeds: 1, pods: 3 });
  await Promise.all([...clients.map((client) => client.close()), server.close()]);
});

/** A controller whose member is listed anew at each look, seen over a link that spares writing so much. */
async function relisted(sparing: number) {
  const { link, change } = fakeController();
  let syncedAt = f.now;
  const healthNow = () => new Map([...world.health].map(([name, one]) => [name, { ...one, syncedAt: ++syncedAt }]));
  const relisting = { ...link, observe: () => ({ ...link.observe(), health: healthNow() }) };
  const server = await serveLink({
    link: relisting,
    token: 'secret',
    log: quiet,
    host: '127.0.0.1',
    port: 0,
    sparing,
  });
  const options = { url: server.url, token: 'secret', clock: { now: () => f.now }, pause: systemClock, log: quiet };
  const client = await connectLink(options);
  const close = () => Promise.all([client.close(), server.close()]);
  const newest = () => Math.max(...[...client.link.observe().health.values()].map((one) => one.syncedAt ?? 0));
  return { client, change, close, newest };
}

test('that members were listed again travels with the next thing that changes, and wakes nobody before', async () => {
  const { client, change, close, newest } = await relisted(1e9);
  const first = newest();
  const woken: number[] = [];
  client.link.onChange(() => void woken.push(client.link.observe().pods.length));
  for (let i = 0; i < 20; i++) {
    change([]);
    await systemClock.sleep(1);
  }
  change([f.pod(spec)]);
  await eventually(() => client.link.observe().pods.length === 1);
  assert.equal(woken, [1]);
  assert.ok(newest() > first);
  await close();
});

test('that members were listed again is told after a while when nothing else changes', async () => {
  const { close, newest } = await relisted(50);
  const first = newest();
  await eventually(() => newest() > first);
  await close();
});

test('every request reaches the controller as it was made', async () => {
  const { client, calls, close } = await scene();
  assert.equal(await client.link.launch([spec]), [{ granted: true, configId: 'cfg' }]);
  assert.equal(await client.link.chute(f.validator, chute.chuteId, 'v'), travelled(chute));
  assert.is(await client.link.chute(f.validator, 'another', 'v'), undefined);
  await client.link.cancel([spec]);
  await client.link.deleteInstance('v', 'c', 'i');
  await client.link.releaseJob('v', 'j');
  client.link.refreshFeeds();
  client.link.report({ configCommit: 'abc', held: ['waits'], blocked: ['too dear'], memory: new Map([['x', 1]]) });
  await eventually(() => calls.length === 6);
  assert.equal(calls.slice(0, 4), [
    ['launch', travelled([spec])],
    ['cancel', 1],
    ['delete', 'v', 'c', 'i'],
    ['release', 'v', 'j'],
  ]);
  assert.equal(
    calls.find((call) => Array.isArray(call) && call[0] === 'report'),
    ['report', 'abc', ['waits'], ['too dear'], new Map([['x', 1]])],
  );
  await close();
});

test('what fails at the controller fails here with its words', async () => {
  const { client, close } = await scene();
  let message = '';
  await client.link.deleteInstance('v', 'c', 'broken').catch((error: Error) => {
    message = error.message;
  });
  assert.match(message, /502 to delete-instance: .*the validator said no/);
  await close();
});

test('who waits for a change holds nothing up when the controller ends', async () => {
  const { client, server } = await scene();
  await server.close();
  await client.close();
  assert.not(process.getActiveResourcesInfo().includes('Timeout'), 'no timer is left behind');
});

test('without the token there is no way in, and a request that is none is refused', async () => {
  const { server, calls, close } = await scene();
  const post = (path: string, authorization: string, body: string) =>
    fetch(`${server.url}/${path}`, { method: 'POST', headers: { authorization }, body }).then(({ status }) => status);
  const good = JSON.stringify({ specs: [spec] });
  assert.is(await post('launch', 'Bearer wrong', good), 401);
  assert.is(await post('launch', '', good), 401);
  assert.is((await fetch(`${server.url}/view`)).status, 401);
  for (const bad of ['', '{', '{"specs":1}', JSON.stringify({ specs: [{ ...spec, server: '../etc' }] })]) {
    assert.is(await post('launch', 'Bearer secret', bad), 400, bad);
  }
  assert.equal(calls, []);
  await close();
});

test('while the controller is away launches fail without counting against the chute, and no member is called healthy', async () => {
  let real = Date.now();
  const pause = { now: () => real, sleep: systemClock.sleep };
  const { client, server, close } = await scene({ pause });
  await server.close();
  const [outcome] = await client.link.launch([spec]);
  assert.equal([outcome?.granted, outcome && 'status' in outcome && outcome.status], [false, 0]);
  assert.is(client.link.observe().health.get('b')?.state, 'healthy');
  real += 61_000;
  assert.is(client.link.observe().health.get('b')?.state, 'unknown');
  await close();
});

test('Gepetto finds a controller that was started again', async () => {
  const first = await scene();
  await first.server.close();
  const second = fakeController();
  const server = await serveLink({
    link: second.link,
    token: 'secret',
    log: quiet,
    host: '127.0.0.1',
    port: Number(new URL(first.server.url).port),
  });
  second.change([f.pod(spec)]);
  await eventually(() => first.client.link.observe().pods.length === 1);
  await first.client.close();
  await server.close();
});

test.run();
