import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import pino from 'pino';
import { type Socket as Peer, Server } from 'socket.io';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { eventReasons, type ValidatorEvent } from '../domain/event.ts';
import { verifySignature } from '../signing/sr25519.ts';
import { connectSocket, type ValidatorSocket } from './socket.ts';
import { broadcasts } from './testing/broadcasts.ts';
import { miner, validatorHotkey } from './testing/http-validator.ts';

/** A socket.io server on a port of its own that can be stopped and started again. */
async function startServer(port = 0) {
  const http = createServer();
  const server = new Server(http);
  const peers: Peer[] = [];
  const payloads: Record<string, string>[] = [];
  const policy: { onAuthenticate: (peer: Peer) => void } = {
    onAuthenticate: (peer) => peer.emit('auth_success', { message: 'ok' }),
  };
  server.on('connection', (peer) => {
    peers.push(peer);
    peer.on('authenticate', (payload) => {
      payloads.push(payload);
      policy.onAuthenticate(peer);
    });
  });
  await new Promise<void>((resolve) => http.listen(port, '127.0.0.1', resolve));
  return { port: (http.address() as AddressInfo).port, peers, payloads, policy, close: () => server.close() };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 300; i++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`timed out: ${what}`);
}

interface Context {
  server: Awaited<ReturnType<typeof startServer>>;
  socket: ValidatorSocket | undefined;
  events: ValidatorEvent[];
  warnings: string[];
  pauses: number[];
  /** Instead of only noting the event. */
  take: ((event: ValidatorEvent) => Promise<void>) | undefined;
  random: number;
  connect(port?: number): ValidatorSocket;
}

const test = suite<Context>('validator socket');

test.before.each(async (context) => {
  context.server = await startServer();
  context.events = [];
  context.pauses = [];
  context.take = undefined;
  context.random = 1;
  context.warnings = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => context.warnings.push(line) });
  const clock = {
    now: () => 1735689600_000,
    async sleep(ms: number) {
      context.pauses.push(ms);
      await new Promise((resolve) => setTimeout(resolve, 5));
    },
  };
  context.connect = (port = context.server.port) => {
    const config = {
      hotkey: validatorHotkey,
      registry: 'r',
      api: 'http://unused',
      socket: `ws://127.0.0.1:${port}/some/path`,
    };
    const onEvent = (event: ValidatorEvent) => {
      context.events.push(event);
      if (event.type === 'image_deleted') throw new Error('handler is broken');
      return context.take?.(event);
    };
    const random = () => context.random;
    context.socket = connectSocket({ config, signer: miner, onEvent, log, clock, random, timeoutMs: 300 });
    return context.socket;
  };
});
test.after.each(async ({ server, socket }) => {
  await socket?.close();
  await server.close();
});

test('the socket signs its hotkey for sockets and is connected once the validator agrees', async ({
  server,
  connect,
}) => {
  const socket = connect();
  assert.not(socket.connected());
  await until(() => socket.connected(), 'connected');
  const [payload = {}] = server.payloads;
  assert.equal(Object.keys(payload).sort(), ['X-Chutes-Hotkey', 'X-Chutes-Nonce', 'X-Chutes-Signature']);
  const signature = Buffer.from(payload['X-Chutes-Signature'] ?? '', 'hex');
  const nonce = payload['X-Chutes-Nonce'];
  assert.ok(
    Math.abs(Number(nonce) - Date.now() / 1000) < 5,
    'signed with real time, whatever the clock of the miner says',
  );
  assert.ok(verifySignature(signature, `${miner.address}:${nonce}:sockets`, miner.publicKey));
  assert.is(server.peers[0]?.conn.transport.name, 'websocket');
  assert.is(server.peers[0]?.nsp.name, '/');
});

test('broadcasts become events of that validator; what cannot be used is dropped and the rest goes on', async ({
  server,
  connect,
  events,
  warnings,
}) => {
  const socket = connect();
  await until(() => socket.connected(), 'connected');
  const [peer] = server.peers;
  peer?.emit('miner_broadcast', { reason: 'image_deleted', data: { image_id: 'i' } });
  peer?.emit('miner_broadcast', { reason: 'instance_disabled', data: {} });
  peer?.emit('miner_broadcast', { reason: 'chute_deleted', data: {} });
  peer?.emit('miner_broadcast', 'nonsense');
  peer?.emit('miner_broadcast');
  peer?.emit('miner_broadcast', {
    reason: 'bounty_change',
    data: { chute_id: 'c', bounty: 5 },
    filter_recipients: [miner.address],
  });
  await until(() => events.length === 2, 'events');
  assert.equal(events, [
    { type: 'image_deleted', validator: validatorHotkey, data: { image_id: 'i' } },
    { type: 'bounty_change', validator: validatorHotkey, data: { chute_id: 'c', bounty: 5 } },
  ]);
  const said = warnings.join('');
  for (const part of ['instance_disabled', 'cannot be read', 'handler is broken']) assert.match(said, part);
  assert.ok(socket.connected());
});

test('each of the fifteen reasons becomes an event of that type and validator, in the order of sending', async ({
  server,
  connect,
  events,
}) => {
  const socket = connect();
  await until(() => socket.connected(), 'connected');
  for (const [reason, data] of Object.entries(broadcasts)) server.peers[0]?.emit('miner_broadcast', { reason, data });
  await until(() => events.length === 15, 'events');
  assert.equal(
    events.map(({ type, validator }) => [type, validator]),
    Object.keys(broadcasts).map((reason) => [reason, validatorHotkey]),
  );
  assert.equal(Object.keys(broadcasts).sort(), [...eventReasons].sort());
  for (const { type, data } of events) {
    const sent: Record<string, unknown> = { disk_gb: 10, ...broadcasts[type] };
    for (const [name, value] of Object.entries(data)) assert.equal(value, sent[name], name);
  }
});

test('closing waits until the events it brought are taken, but not for ever', async (context) => {
  const { server, connect, warnings } = context;
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let taken = 0;
  let calls = 0;
  context.take = async () => {
    await gates[calls++]?.promise;
    taken += 1;
  };
  const socket = connect();
  await until(() => socket.connected(), 'connected');
  for (let i = 0; i < 2; i++)
    server.peers[0]?.emit('miner_broadcast', { reason: 'image_created', data: { image_id: 'i' } });
  await until(() => calls === 2, 'both handed over');
  const closed = socket.close();
  gates[0]?.resolve();
  await closed;
  assert.is(taken, 1);
  assert.match(warnings.join(''), 'closed before all events were taken');
  gates[1]?.resolve();
});

test('after a loss the pause is jittered between a half and all of it', async (context) => {
  context.random = 0;
  context.server.policy.onAuthenticate = (peer) => peer.disconnect(true);
  context.connect();
  await until(() => context.pauses.length >= 3, 'three losses');
  assert.equal(context.pauses.slice(0, 3), [500, 1000, 2000]);
});

test('a new socket signs in only when no older one is open', async ({ server, connect, pauses }) => {
  const open: number[] = [];
  let round = 0;
  server.policy.onAuthenticate = (peer) => {
    open.push(server.peers.filter((one) => one.connected).length);
    const ways = [
      () => peer.emit('auth_failed', { error: 'not registered' }),
      () => peer.emit('auth_success', {}) && setTimeout(() => peer.disconnect(), 5),
      () => peer.conn.close(),
      () => undefined,
    ];
    ways[round++ % ways.length]?.();
  };
  connect();
  await until(() => pauses.length >= 4 && open.length >= 5, 'each way to lose it');
  assert.ok(
    open.every((count) => count === 1),
    `${open}`,
  );
});

test('after a server-side disconnect it comes back by itself with a new signature, and only one socket at a time', async ({
  server,
  connect,
  pauses,
}) => {
  const socket = connect();
  for (let round = 1; round <= 3; round++) {
    await until(() => server.payloads.length === round && socket.connected(), `round ${round}`);
    if (round < 3) server.peers.at(-1)?.disconnect(true);
  }
  assert.is(new Set(server.payloads.map((one) => one['X-Chutes-Signature'])).size, 3);
  assert.is(server.peers.filter((peer) => peer.connected).length, 1);
  assert.equal(pauses, [1000, 1000]);
});

test('a refused authentication is tried again for ever, with growing pauses up to 30 s', async ({
  server,
  connect,
  pauses,
}) => {
  server.policy.onAuthenticate = (peer) => {
    peer.emit('auth_failed', { error: 'not registered' });
    peer.disconnect();
  };
  const socket = connect();
  await until(() => pauses.length >= 7, 'seven refusals');
  assert.equal(pauses.slice(0, 7), [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  assert.not(socket.connected());
  server.policy.onAuthenticate = (peer) => peer.emit('auth_success', {});
  await until(() => socket.connected(), 'accepted in the end');
});

test('a validator that is not there yet is waited for', async ({ server, connect, pauses }) => {
  const { port } = server;
  await server.close();
  const socket = connect(port);
  await until(() => pauses.length >= 2, 'two failed connects');
  const late = await startServer(port);
  await until(() => socket.connected(), 'connected to the late server');
  await socket.close();
  await late.close();
});

test('an authentication without an answer is given up, and its socket closed before the next one opens', async (context) => {
  const { server, connect, pauses } = context;
  server.policy.onAuthenticate = () => {};
  connect();
  await until(() => pauses.length >= 1 && server.peers.length >= 2, 'given up');
  assert.is(server.peers[0]?.connected, false);
});

test('closing ends it, also during a pause', async ({ server, connect, pauses }) => {
  server.policy.onAuthenticate = (peer) => peer.disconnect();
  const socket = connect();
  await until(() => pauses.length >= 1, 'a pause');
  await socket.close();
  const { length } = server.payloads;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.is(server.payloads.length, length);
  assert.not(socket.connected());
});

test.run();
