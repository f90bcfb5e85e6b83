// One authenticated socket to one validator, for ever: every loss, refusal or failed connect is followed by a new socket after a
// jittered pause. Events are hints; what was missed while away is found by the feeds.

import type { Logger } from 'pino';
import { io, type Socket } from 'socket.io-client';
import { type Clock, systemClock } from '../domain/clock.ts';
import type { ValidatorConfig } from '../domain/config.ts';
import { messageOf } from '../domain/errors.ts';
import { parseValidatorEvent, type ValidatorEvent } from '../domain/event.ts';
import { type Random, systemRandom } from '../domain/random.ts';
import { validatorHeaders } from '../signing/sign.ts';
import type { Signer } from '../signing/sr25519.ts';

export interface ValidatorSocket {
  /** True between the validator's `auth_success` and the loss of that connection. */
  connected(): boolean;
  /** Since when it is as `connected` says, ms. */
  since(): number;
  /** Resolves when the socket is closed and the events it brought are taken, or not taken within the time for one answer. */
  close(): Promise<void>;
}

export interface SocketOptions {
  config: ValidatorConfig;
  signer: Signer;
  /** Called in the order in which the events came in; `close` waits for the running ones. */
  onEvent: (event: ValidatorEvent) => void | Promise<void>;
  log: Pick<Logger, 'info' | 'warn'>;
  clock: Clock;
  random?: Random;
  /** Wall-clock ms for the connect and for the answer to `authenticate`. */
  timeoutMs?: number;
}

const firstPauseMs = 1000;
const longestPauseMs = 30_000;

/** Namespace `/` and path `/socket.io/` whatever path the URL has. */
function originOf(url: string): string {
  return new URL(url).origin;
}

/** Connect and stay connected (protocol.md 2). Only one process of a miner may do this for a validator (trap 7). */
export function connectSocket(options: SocketOptions): ValidatorSocket {
  const { config, signer, onEvent, log, clock, random = systemRandom, timeoutMs = 10_000 } = options;
  const stop = new AbortController();
  let authenticated = false;
  let changedAt = clock.now();
  const relaying = new Set<Promise<void>>();

  function setAuthenticated(value: boolean): void {
    if (authenticated === value) return;
    authenticated = value;
    changedAt = clock.now();
  }

  function relay(payload: unknown): void {
    let event: ValidatorEvent | undefined;
    try {
      event = parseValidatorEvent(payload, config.hotkey);
    } catch (error) {
      log.warn({ problem: messageOf(error).slice(0, 500) }, 'broadcast cannot be read, dropped');
      return;
    }
    if (!event) {
      const reason = (payload as { reason: string }).reason;
      log.warn({ reason: reason.slice(0, 100) }, 'broadcast for an unknown reason, dropped');
      return;
    }
    const relayed = hand(event).finally(() => relaying.delete(relayed));
    relaying.add(relayed);
  }

  async function hand(event: ValidatorEvent): Promise<void> {
    try {
      await onEvent(event);
    } catch (error) {
      log.warn({ type: event.type, reason: messageOf(error) }, 'event was not taken');
    }
  }

  async function allTaken(): Promise<void> {
    const waited = new AbortController();
    const late = systemClock.sleep(timeoutMs, waited.signal);
    await Promise.race([Promise.all(relaying), late]);
    waited.abort();
    if (relaying.size > 0) log.warn({ events: relaying.size }, 'closed before all events were taken');
  }

  /** Resolves with the reason when this connection has ended; true in `worked` if it was authenticated. */
  function session(): Promise<{ worked: boolean; reason: string }> {
    return new Promise((resolve) => {
      let worked = false;
      const socket: Socket = io(originOf(config.socket), {
        transports: ['websocket'],
        reconnection: false,
        forceNew: true,
        timeout: timeoutMs,
      });
      const authTimer = setTimeout(() => end('no answer to authenticate'), 2 * timeoutMs);

      function end(reason: string): void {
        clearTimeout(authTimer);
        stop.signal.removeEventListener('abort', onStop);
        setAuthenticated(false);
        socket.removeAllListeners();
        // Before the next one opens: the validator forgets a hotkey when any of its sockets closes.
        socket.disconnect();
        resolve({ worked, reason });
      }
      function succeed(): void {
        clearTimeout(authTimer);
        worked = true;
        if (!authenticated) log.info({ validator: config.hotkey }, 'validator socket connected');
        setAuthenticated(true);
      }
      function onStop(): void {
        end('closed');
      }

      stop.signal.addEventListener('abort', onStop);
      socket.on('connect', () => socket.emit('authenticate', validatorHeaders(signer, { purpose: 'sockets' })));
      socket.on('auth_success', succeed);
      socket.on('auth_failed', (answer: unknown) => {
        const error = (answer as { error?: unknown } | null)?.error;
        end(`authentication failed: ${String(error).slice(0, 200)}`);
      });
      socket.on('miner_broadcast', relay);
      socket.on('disconnect', (reason) => end(reason));
      socket.on('connect_error', (error) => end(messageOf(error)));
    });
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!stop.signal.aborted) {
      const { worked, reason } = await session();
      if (stop.signal.aborted) return;
      failures = worked ? 1 : failures + 1;
      const pause = Math.min(longestPauseMs, firstPauseMs * 2 ** (failures - 1)) * (0.5 + random() / 2);
      log.warn(
        { validator: config.hotkey, reason, pause: Math.round(pause) },
        'validator socket lost, connecting again',
      );
      await clock.sleep(pause, stop.signal);
    }
  }

  const finished = run();
  return {
    connected: () => authenticated,
    since: () => changedAt,
    async close() {
      stop.abort();
      await finished;
      await allTaken();
    },
  };
}
