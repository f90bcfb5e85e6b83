// For tests: a clock that stands still until told, and a miner that signs requests and listens on the socket.

import type { Clock } from '@miner/controller/domain/clock.ts';
import { seededRandom } from '@miner/controller/domain/random.ts';
import { io, type Socket } from 'socket.io-client';
import { loadCatalogue } from '../catalogue.ts';
import { parseJson, toJson } from '../lossless.ts';
import type { ProofSizes } from '../refc1.ts';
import { hotkeyFromSeed, type SimulatedHotkey } from '../sr25519.ts';
import { bodyHash } from './auth.ts';
import { type SimulatedValidator, startValidator, type ValidatorOptions } from './validator.ts';

export const minerKey = hotkeyFromSeed('e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a');
export const strangerKey = hotkeyFromSeed('11'.repeat(32));
export const otherMinerKey = hotkeyFromSeed('22'.repeat(32));
export const validatorKey = {
  ss58: '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty',
  seed: '398f0c28f98885e046333d4a41c19cee4c37368a9832c6502f6cfd182e2aef89',
};
export const catalogue = loadCatalogue();
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
    catalogue,
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
