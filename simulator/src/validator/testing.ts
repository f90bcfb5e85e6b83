// For tests: a clock that stands still until told, a signing miner with a socket, and a GPU node that answers a verification.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '@miner/controller/domain/clock.ts';
import type { GpuModel } from '@miner/controller/domain/gputable.ts';
import { seededRandom } from '@miner/controller/domain/random.ts';
import { io, type Socket } from 'socket.io-client';
import { parseJson, toJson } from '../lossless.ts';
import { infoAnswer, type ProofSizes } from '../refc1.ts';
import { answerClaim, readClaimReply } from '../refc1-pod.ts';
import { answerProve, type ProveReply, type ProveRequest, readProveRequest } from '../refc1-wire.ts';
import { hotkeyFromSeed, type SimulatedHotkey, verifySignature } from '../sr25519.ts';
import { bodyHash } from './auth.ts';
import type { NodeArgs } from './nodeargs.ts';
import { type SimulatedValidator, startValidator, type ValidatorOptions } from './validator.ts';

export const minerKey = hotkeyFromSeed('e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a');
export const strangerKey = hotkeyFromSeed('11'.repeat(32));
export const otherMinerKey = hotkeyFromSeed('22'.repeat(32));
export const validatorKey = {
  ss58: '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty',
  seed: '398f0c28f98885e046333d4a41c19cee4c37368a9832c6502f6cfd182e2aef89',
};
export const sizes: ProofSizes = { n: 64, num: 1 };

export interface ManualClock extends Clock {
  advance(ms: number): void;
}

export function manualClock(start = 1_700_000_000_000): ManualClock {
  let now = start;
  const sleepers = new Set<{ until: number; wake: () => void }>();
  return {
    now: () => now,
    sleep(ms, signal) {
      return new Promise((resolve) => {
        const sleeper = { until: now + ms, wake: resolve };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', () => resolve());
      });
    },
    advance(ms) {
      now += ms;
      for (const sleeper of sleepers) {
        if (sleeper.until > now) continue;
        sleepers.delete(sleeper);
        sleeper.wake();
      }
    },
  };
}

export interface Reply {
  status: number;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
  json: any;
}

/** Sign and send. `tail` defaults to the hash of the body. */
export async function send(
  base: string,
  method: string,
  path: string,
  { tail, body, key = minerKey }: { tail?: string; body?: unknown; key?: SimulatedHotkey } = {},
): Promise<Reply> {
  const text = body === undefined ? undefined : typeof body === 'string' ? body : toJson(body);
  const nonce = String(Math.floor(Date.now() / 1000));
  const signature = key.sign(`${key.ss58}:${nonce}:${tail ?? bodyHash(Buffer.from(text ?? ''))}`);
  const headers = { 'X-Chutes-Hotkey': key.ss58, 'X-Chutes-Nonce': nonce, 'X-Chutes-Signature': signature };
  return raw(base, method, path, headers, text);
}

export async function raw(
  base: string,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string,
): Promise<Reply> {
  const response = await fetch(base + path, { method, headers, body });
  const text = await response.text();
  let json: unknown;
  try {
    json = parseJson(text);
  } catch {
    json = undefined;
  }
  return { status: response.status, text, json };
}

/** Items of a `data:` stream; words that are no JSON stay text. */
export function itemsOf({ text }: Reply) {
  const lines = text.split('\n').filter((line) => line.startsWith('data: '));
  return lines.map((line) => (line === 'data: NO_ITEMS' ? 'NO_ITEMS' : parseJson(line.slice(6)))) as Record<
    string,
    unknown
  >[];
}

export async function testValidator(
  options: Partial<ValidatorOptions> = {},
): Promise<{ validator: SimulatedValidator; clock: ManualClock }> {
  const clock = manualClock();
  const validator = await startValidator({
    hotkey: validatorKey,
    clock,
    registeredHotkeys: [minerKey.ss58, otherMinerKey.ss58],
    allowPrivateHosts: true,
    random: seededRandom(1),
    graval: { sizes, infoRounds: 2, timing: false },
    ...options,
  });
  return { validator, clock };
}

export interface Listener {
  socket: Socket;
  messages: { reason: string; data: Record<string, unknown>; filter_recipients?: string[] }[];
  /** Resolves with the first message of that reason, also a past one. */
  next(reason: string): Promise<Record<string, unknown>>;
}

/** Connect a socket; authenticated unless told otherwise. */
export async function listen(
  validator: SimulatedValidator,
  key: SimulatedHotkey | 'anonymous' = minerKey,
): Promise<Listener> {
  const socket = io(validator.socketUrl, { transports: ['websocket'], reconnection: false, forceNew: true });
  const messages: Listener['messages'] = [];
  socket.on('miner_broadcast', (message) => messages.push(message));
  await new Promise<void>((resolve) => socket.on('connect', () => resolve()));
  if (key !== 'anonymous') await socket.emitWithAck('authenticate', socketHeaders(key, 'sockets'));
  async function next(reason: string): Promise<Record<string, unknown>> {
    for (let i = 0; i < 200; i++) {
      const found = messages.find((message) => message.reason === reason);
      if (found) return found.data;
      await pause(10);
    }
    throw new Error(`no ${reason} within 2 s; got ${messages.map((message) => message.reason)}`);
  }
  return { socket, messages, next };
}

export function socketHeaders(key: SimulatedHotkey, purpose: string): Record<string, string> {
  const nonce = String(Math.floor(Date.now() / 1000));
  const signature = key.sign(`${key.ss58}:${nonce}:${purpose}`);
  return { 'X-Chutes-Hotkey': key.ss58, 'X-Chutes-Nonce': nonce, 'X-Chutes-Signature': signature };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Advertised records of `count` GPUs of a model; `prefix` (one hex digit) keeps ids apart. */
export function gpus(model: GpuModel, name: string, count: number, prefix: string, port: number, host = '127.0.0.1') {
  return Array.from(
    { length: count },
    (_, index): NodeArgs => ({
      uuid: prefix.repeat(31) + index.toString(16),
      name,
      memory: model.vramGb * 1e9,
      processors: model.processors,
      clock_rate: model.clockBoost * 1000,
      max_threads_per_processor: 1536,
      device_index: index,
      gpu_identifier: model.ref,
      verification_host: host,
      verification_port: port,
    }),
  );
}

export interface TestNode {
  port: number;
  devices: NodeArgs[];
  /** Requests that carried a good signature of the validator, by path. */
  signed: string[];
  close(): void;
}

/** A bootstrap on 127.0.0.1; `cheat` may spoil its proofs. */
export async function testNode(
  make: (port: number) => NodeArgs[],
  cheat: (reply: ProveReply<NodeArgs>, request: ProveRequest) => void = () => undefined,
): Promise<TestNode> {
  const signed: string[] = [];
  const node: TestNode = { port: 0, devices: [], signed, close: () => server.close() };
  function note(headers: Record<string, unknown>, path: string, tail: string): void {
    const { 'x-chutes-miner': miner, 'x-chutes-validator': from, 'x-chutes-nonce': nonce } = headers;
    const message = new TextEncoder().encode(`${miner}:${from}:${nonce}:${tail}`);
    if (verifySignature(String(from), message, String(headers['x-chutes-signature']))) signed.push(path);
  }
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://node');
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      note(request.headers, url.pathname, request.method === 'POST' ? bodyHash(body) : 'graval');
      if (url.pathname === '/info') {
        response.end(infoAnswer(url.searchParams.get('challenge') ?? '', node.devices));
        return;
      }
      const asked = readProveRequest(body.toString());
      const reply = answerProve(asked, node.devices, sizes);
      cheat(reply, asked);
      response.end(toJson(reply));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  node.port = (server.address() as AddressInfo).port;
  node.devices = make(node.port);
  return node;
}

/** Register the GPUs and wait until the verification ended; returns its status. */
export async function addServer(
  validator: SimulatedValidator,
  serverId: string,
  nodes: NodeArgs[],
): Promise<Reply['json']> {
  const body = { server_id: serverId, server_name: serverId, nodes };
  const { json, status, text } = await send(validator.url, 'POST', '/nodes/', { body });
  if (status !== 202) throw new Error(`registration was answered with ${status}: ${text}`);
  for (let i = 0; i < 200; i++) {
    const path = `/nodes/verification_status?task_id=${encodeURIComponent(json.task_id)}`;
    const answer = await send(validator.url, 'GET', path, { tail: 'graval' });
    if (answer.json.status !== 'pending') return answer.json;
    await pause(10);
  }
  throw new Error('the verification did not end');
}

export interface Launch {
  token: string;
  config_id: string;
}

export async function launch(validator: SimulatedValidator, chuteId: string, query = ''): Promise<Launch> {
  const path = `/instances/launch_config?chute_id=${chuteId}${query}`;
  const { json, status, text } = await send(validator.url, 'GET', path, { tail: 'launch' });
  if (status !== 200) throw new Error(`the launch was answered with ${status}: ${text}`);
  return json;
}

let nextPort = 31_000;

export function claimBody(devices: readonly NodeArgs[]): Record<string, unknown> {
  const [port, logging] = [nextPort++, nextPort++];
  return {
    gpus: devices.map(({ uuid }) => ({ uuid })),
    host: devices[0]?.verification_host,
    port_mappings: [
      { internal_port: 8000, external_port: port, proto: 'tcp' },
      { internal_port: 8001, external_port: logging, proto: 'tcp' },
    ],
    env: '',
    code: '',
  };
}

/** What a pod sends with its token. */
export function podCall(
  validator: SimulatedValidator,
  { token, config_id }: Launch,
  method: string,
  body?: unknown,
  suffix = '',
): Promise<Reply> {
  const path = `/instances/launch_config/${config_id}${suffix}`;
  return raw(validator.url, method, path, { Authorization: token }, body === undefined ? undefined : toJson(body));
}

/** Claim and prove; returns the answer to the proof. */
export async function claimAndProve(
  validator: SimulatedValidator,
  launched: Launch,
  devices: readonly NodeArgs[],
): Promise<Reply> {
  const claimed = await podCall(validator, launched, 'POST', claimBody(devices));
  if (claimed.status !== 200) return claimed;
  const answer = answerClaim(readClaimReply(claimed.text), devices, launched.config_id, sizes);
  return podCall(validator, launched, 'PUT', answer);
}

/** Bring an instance up to active; returns its id. */
export async function bringUp(
  validator: SimulatedValidator,
  chuteId: string,
  devices: readonly NodeArgs[],
  query = '',
): Promise<string> {
  const launched = await launch(validator, chuteId, query);
  const proved = await claimAndProve(validator, launched, devices);
  const activated = await podCall(validator, launched, 'GET', undefined, '/activate');
  if (activated.status !== 200) throw new Error(`activation: ${proved.text} ${activated.text}`);
  return proved.json.instance_id;
}
