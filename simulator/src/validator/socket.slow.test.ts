import { eventReasons } from '@miner/controller/domain/event.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createHttp } from './http.ts';
import { createSocket } from './socket.ts';
import { emptyState } from './state.ts';
import { listen, minerKey, otherMinerKey, pause, socketHeaders, strangerKey, testValidator } from './testing.ts';
import type { World } from './world.ts';

/** The socket alone, so that any message can be sent through it. */
async function bareSocket(generation: 'v25' | 'v26' = 'v26') {
  const world = {
    state: emptyState(''),
    registered: new Set([minerKey.ss58, otherMinerKey.ss58]),
    generation,
    violation: () => undefined,
    changed: () => undefined,
    log: () => undefined,
  } as unknown as World;
  const app = createHttp(world, []);
  const socket = createSocket(app.server, world);
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const close = async () => {
    socket.close();
    await app.close();
  };
  return { socket, close, view: { socketUrl: url } as Parameters<typeof listen>[0] };
}

test('authentication is acknowledged and announced', async () => {
  const { validator } = await testValidator();
  const { socket } = await listen(validator, 'anonymous');
  const announced = new Promise((resolve) => socket.on('auth_success', resolve));
  assert.is(await socket.emitWithAck('authenticate', socketHeaders(minerKey, 'sockets')), true);
  assert.equal(await announced, { message: 'authenticated' });
  assert.is(validator.connections(), 1);
  await validator.close();
});

const refusals: [name: string, payload: unknown][] = [
  ['another purpose', socketHeaders(minerKey, 'miner')],
  ['a stranger', socketHeaders(strangerKey, 'sockets')],
  [
    'keys in lower case',
    Object.fromEntries(Object.entries(socketHeaders(minerKey, 'sockets')).map(([k, v]) => [k.toLowerCase(), v])),
  ],
  ['no payload', null],
];
for (const [name, payload] of refusals) {
  test(`authentication with ${name} fails and ends the connection`, async () => {
    const { validator } = await testValidator();
    const { socket } = await listen(validator, 'anonymous');
    const failed = new Promise((resolve) => socket.on('auth_failed', resolve));
    const closed = new Promise((resolve) => socket.on('disconnect', resolve));
    assert.is(await socket.emitWithAck('authenticate', payload), false);
    assert.equal(await failed, { error: 'not authenticated' });
    assert.is(await closed, 'io server disconnect');
    const { rejected, violations } = validator.stats();
    assert.is(rejected + violations.length, 1);
    await validator.close();
  });
}

test('a message from a miner that did not authenticate ends its connection', async () => {
  const { validator } = await testValidator();
  const { socket } = await listen(validator, 'anonymous');
  const closed = new Promise((resolve) => socket.on('disconnect', resolve));
  socket.emit('miner_message', {});
  assert.is(await closed, 'io server disconnect');
  await validator.close();
});

test('all fifteen reasons reach everyone when they have no recipients', async () => {
  const { socket, close, view } = await bareSocket();
  const [own, anyone] = [await listen(view), await listen(view, 'anonymous')];
  for (const reason of eventReasons) socket.broadcast(reason, { chute_id: 'c' });
  await anyone.next('job_deleted');
  await own.next('job_deleted');
  assert.is(eventReasons.length, 15);
  for (const { messages } of [own, anyone]) {
    assert.equal(
      messages.map(({ reason }) => reason),
      eventReasons,
    );
  }
  assert.equal(own.messages[0], { reason: eventReasons[0], data: { chute_id: 'c' } });
  await close();
});

test('a targeted message reaches only the latest socket of that hotkey', async () => {
  const { socket, close, view } = await bareSocket();
  const [first, second, other] = [await listen(view), await listen(view), await listen(view, otherMinerKey)];
  socket.broadcast('gpu_verified', { gpu_id: 'g' }, [minerKey.ss58]);
  assert.equal(await second.next('gpu_verified'), { gpu_id: 'g' });
  await pause(30);
  assert.equal([first.messages.length, other.messages.length], [0, 0]);
  assert.equal(second.messages[0]?.filter_recipients, [minerKey.ss58]);
  await close();
});

for (const [generation, received] of [
  ['v25', 0],
  ['v26', 1],
] as const) {
  test(`closing an old socket leaves a ${generation} validator with ${received} routes to the newer one`, async () => {
    const { socket, close, view } = await bareSocket(generation);
    const [first, second] = [await listen(view), await listen(view)];
    first.socket.close();
    await pause(50);
    socket.broadcast('gpu_verified', {}, [minerKey.ss58]);
    await pause(50);
    assert.is(second.messages.length, received);
    await close();
  });
}

test.run();
