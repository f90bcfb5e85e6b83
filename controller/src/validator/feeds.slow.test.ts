import pino from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createFeeds, type FeedKeeper } from './feeds.ts';
import {
  fakeClock,
  type HttpValidator,
  miner,
  type Reply,
  startHttpValidator,
  stream,
  validatorHotkey,
} from './testing/http-validator.ts';

interface Context {
  validator: HttpValidator;
  keeper: FeedKeeper;
  clock: ReturnType<typeof fakeClock>;
}

const test = suite<Context>('feeds');

test.before.each(async (context) => {
  context.validator = await startHttpValidator();
  context.clock = fakeClock();
  const { config } = context.validator;
  context.keeper = createFeeds({
    config,
    signer: miner,
    clock: context.clock,
    log: pino({ level: 'silent' }),
    timeouts: { feedMs: 3000 },
  });
});
test.after.each(({ validator }) => validator.close());

function uuid(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
}

function chute(n: number, change: Record<string, unknown> = {}) {
  const base = { chute_id: uuid(n), name: `c${n}`, version: 'v1', image: 'u/n:t', ref_str: 'a:b' };
  return { ...base, node_selector: { gpu_count: 1 }, supported_gpus: ['l4'], cords: [{}], ...change };
}

function instance(id: string, change: Record<string, unknown> = {}) {
  return { instance_id: id, chute_id: uuid(1), version: 'v1', ...change };
}

const chutes = 'GET /miner/chutes/';
const instances = 'GET /miner/instances/';

async function refreshWith({ validator, keeper }: Context, replies: Record<string, Reply | Reply[]>) {
  Object.assign(validator.replies, replies);
  await keeper.refresh();
  return keeper.feeds();
}

test('all feeds of the newer validator are read', async (context) => {
  const feeds = await refreshWith(context, {
    [chutes]: [200, stream([chute(1, { tee: true, bounty: 250, effective_compute_multiplier: 3.5 })])],
    [instances]: [
      200,
      stream([instance('i1', { config_id: 'k', active: false, last_verified_at: '2025-01-01T00:00:00.123456' })]),
    ],
    'GET /miner/nodes/': [200, stream([{ uuid: 'g1', seed: 1 }])],
    'GET /miner/active_instances/': [
      200,
      JSON.stringify([{ instance_id: 'x', chute_id: uuid(1), compute_multiplier: 1.5 }]),
    ],
    'GET /chutes/utilization': [
      200,
      JSON.stringify([{ chute_id: uuid(1), scalable: false, target_count: 4, active_instance_count: 2 }]),
    ],
    'GET /chutes/rolling_updates': [200, JSON.stringify([{ chute_id: uuid(1), old_version: 'a', new_version: 'b' }])],
    'GET /miner/thrash_cooldowns': [
      200,
      JSON.stringify([
        { chute_id: uuid(1), cooldown_expires_at: '2026-01-01T00:00:00+00:00' },
        { chute_id: uuid(2), cooldown_expires_at: '2026-01-01T00:00:00.500000' },
        { chute_id: uuid(3), cooldown_expires_at: null },
      ]),
    ],
  });
  const one = feeds.chutes.items.get(uuid(1));
  assert.equal(
    [one?.validator, one?.tee, one?.bounty, one?.effectiveComputeMultiplier],
    [validatorHotkey, true, 250, 3.5],
  );
  assert.equal(feeds.instances.items.get('i1'), {
    instanceId: 'i1',
    chuteId: uuid(1),
    version: 'v1',
    configId: 'k',
    active: false,
    verifiedAt: Date.UTC(2025, 0, 1, 0, 0, 0, 123),
    activatedAt: undefined,
    computeMultiplier: undefined,
  });
  assert.equal([...feeds.nodes.items], [['g1', 'g1']]);
  assert.is(feeds.globalInstances.items.get('x')?.computeMultiplier, 1.5);
  assert.equal(feeds.utilization.items.get(uuid(1)), {
    chuteId: uuid(1),
    scalable: false,
    updateInProgress: false,
    targetCount: 4,
    activeInstanceCount: 2,
  });
  assert.equal(feeds.rollingUpdates.items.get(uuid(1))?.newVersion, 'b');
  assert.equal(
    [...feeds.cooldowns.items],
    [
      [uuid(1), Date.UTC(2026, 0)],
      [uuid(2), Date.UTC(2026, 0) + 500],
    ],
    'one without a time is left out',
  );
  for (const feed of Object.values(feeds)) assert.is(feed.fetchedAt, context.clock.now());
  const signed = context.validator.asked.filter((one) => one.headers['x-chutes-signature']).map((one) => one.url);
  assert.equal(signed.sort(), [
    '/miner/active_instances/',
    '/miner/chutes/',
    '/miner/instances/?explicit_null=True',
    '/miner/nodes/',
    '/miner/thrash_cooldowns',
  ]);
});

test('a feed the older validator does not have stays unfetched and is no failure of the others', async (context) => {
  const feeds = await refreshWith(context, { [chutes]: [200, stream([chute(1)])] });
  assert.is(feeds.globalInstances.fetchedAt, undefined);
  assert.is(context.keeper.status().get('globalInstances')?.problem, 'unsupported');
  assert.is(feeds.chutes.items.size, 1);
  assert.is(feeds.chutes.items.get(uuid(1))?.effectiveComputeMultiplier, 1);
});

const silences: [string, Reply][] = [
  ['an empty stream', [200, '']],
  ['an error', [500, 'x']],
  ['no authorisation', [401, '{"detail":"no"}']],
  ['a broken connection', 'hang up'],
  [
    'a stream cut within a chunk',
    (response) => {
      response.writeHead(200).write(stream([instance('i2')]));
      setTimeout(() => response.socket?.destroy(), 20);
    },
  ],
  ['a stream that ends within a line', [200, `${stream([instance('i2')])}data: {"instance`]],
  ['a line that is too long', [200, `data: "${'x'.repeat(9 * 1024 * 1024)}"\n\n`]],
];
for (const [what, reply] of silences) {
  test(`${what} keeps the last view, its time, and says since when`, async (context) => {
    const before = await refreshWith(context, {
      [instances]: [200, stream([instance('i1')])],
      [chutes]: [200, stream([chute(1)])],
    });
    context.clock.ms += 60_000;
    const brokenAt = context.clock.ms;
    const after = await refreshWith(context, { [instances]: reply });
    assert.is(after.instances, before.instances);
    const status = context.keeper.status().get('instances');
    assert.ok(status?.problem);
    assert.ok((status?.since ?? 0) >= brokenAt);
    assert.ok((after.chutes.fetchedAt ?? 0) > (before.chutes.fetchedAt ?? 0), 'the other feeds go on');
    await context.keeper.refresh();
    assert.is(context.keeper.status().get('instances')?.since, status?.since);
    await refreshWith(context, { [instances]: [200, stream([instance('i3')])] });
    assert.equal([...context.keeper.feeds().instances.items.keys()], ['i3']);
    assert.is(context.keeper.status().get('instances')?.since, undefined);
  });
}

test('only the explicit marker empties a stream', async (context) => {
  await refreshWith(context, { [instances]: [200, stream([instance('i1')])] });
  const feeds = await refreshWith(context, { [instances]: [200, stream(['NO_ITEMS'])] });
  assert.is(feeds.instances.items.size, 0);
  assert.is(feeds.instances.fetchedAt, context.clock.now());
});

test('an empty list of rolling updates is an answer, an empty utilization is a silence', async (context) => {
  const rolling = { chute_id: uuid(1), old_version: 'a', new_version: 'b' };
  await refreshWith(context, {
    'GET /chutes/rolling_updates': [200, JSON.stringify([rolling])],
    'GET /chutes/utilization': [200, JSON.stringify([{ chute_id: uuid(1) }])],
  });
  const feeds = await refreshWith(context, {
    'GET /chutes/rolling_updates': [200, '[]'],
    'GET /chutes/utilization': [200, '[]'],
  });
  assert.is(feeds.rollingUpdates.items.size, 0);
  assert.is(feeds.utilization.items.size, 1);
});

test('an item that cannot be read keeps its earlier version and marks the feed partial', async (context) => {
  await refreshWith(context, { [chutes]: [200, stream([chute(1), chute(2), chute(3)])] });
  const bad = chute(2, { version: '' });
  const feeds = await refreshWith(context, { [chutes]: [200, stream([chute(1, { version: 'v2' }), bad])] });
  assert.equal(
    [...feeds.chutes.items].map(([id, { version }]) => [id, version]),
    [
      [uuid(1), 'v2'],
      [uuid(2), 'v1'],
    ],
  );
  const status = context.keeper.status().get('chutes');
  assert.equal([status?.partial, status?.badItems, status?.problem], [true, 1, undefined]);
});

test('an item whose name cannot be read keeps all absent items', async (context) => {
  await refreshWith(context, { [instances]: [200, stream([instance('i1'), instance('i2')])] });
  const { fetchedAt } = context.keeper.feeds().instances;
  context.clock.ms += 1000;
  for (const odd of ['{"instance_id": "i2', '[]', '{"instance_id":7}']) {
    const feeds = await refreshWith(context, { [instances]: [200, stream([instance('i1'), odd])] });
    assert.equal([...feeds.instances.items.keys()].sort(), ['i1', 'i2']);
    assert.is(feeds.instances.fetchedAt, fetchedAt, 'no complete answer, so nothing is concluded from it');
  }
});

test('an instance that is listed but was never readable does not make the answer complete', async (context) => {
  const feeds = await refreshWith(context, {
    [instances]: [200, stream([instance('i1'), instance('i2', { chute_id: null })])],
  });
  assert.equal([...feeds.instances.items.keys()], ['i1']);
  assert.is(feeds.instances.fetchedAt, undefined);
  const next = await refreshWith(context, { [instances]: [200, stream([instance('i1'), instance('i2')])] });
  assert.is(next.instances.fetchedAt, context.clock.now());
});

test('items that arrive in pieces, without blank lines or with CRLF are read all the same', async (context) => {
  const wide = chute(2, { name: 'ü'.repeat(300_000) });
  const text = `data: ${JSON.stringify(chute(1))}\r\n\r\ndata: ${JSON.stringify(wide)}\ndata: ${JSON.stringify(chute(3))}\n`;
  const bytes = Buffer.from(text);
  const feeds = await refreshWith(context, {
    [chutes]: async (response) => {
      for (let at = 0; at < bytes.length; at += 64_001) {
        response.write(bytes.subarray(at, at + 64_001));
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      response.end();
    },
  });
  assert.equal([...feeds.chutes.items.keys()], [uuid(1), uuid(2), uuid(3)]);
  assert.is(feeds.chutes.items.get(uuid(2))?.name, wide.name);
});

test('listeners hear of each round that brought something, and calls during a round share it', async (context) => {
  let heard = 0;
  const stop = context.keeper.onChange(() => heard++);
  await context.keeper.refresh();
  assert.is(heard, 0);
  context.validator.replies[chutes] = [200, stream([chute(1)])];
  const before = context.validator.asked.length;
  await Promise.all([context.keeper.refresh(), context.keeper.refresh()]);
  assert.equal([heard, context.validator.asked.length - before], [1, 7]);
  stop();
  await context.keeper.refresh();
  assert.is(heard, 1);
});

test('a round that is under way ends at once when the miner stops', async ({ validator, clock }) => {
  validator.replies[chutes] = () => {};
  const stop = new AbortController();
  const log = pino({ level: 'silent' });
  const keeper = createFeeds({ config: validator.config, signer: miner, clock, log, signal: stop.signal });
  const round = keeper.refresh();
  setTimeout(() => stop.abort(), 50);
  const started = performance.now();
  await round;
  assert.ok(performance.now() - started < 10_000);
  assert.match(keeper.status().get('chutes')?.problem ?? '', 'abort');
});

test.run();
