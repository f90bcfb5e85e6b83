// For tests: a bootstrap server on loopback over small refc1 GPUs, and the two parties that may call it.

import { systemClock } from '@miner/controller/domain/clock.ts';
import { serviceHeaders } from '@miner/controller/signing/sign.ts';
import { createSigner, type Signer } from '@miner/controller/signing/sr25519.ts';
import { type Refc1Options, refc1Backend } from '@miner/simulator/refc1-backend.ts';
import pino from 'pino';
import type { DeviceInfo } from '../../backend.ts';
import { type StartOptions, startBootstrapServer } from '../start.ts';

const key = (byte: string) => createSigner(Buffer.from(byte.repeat(32), 'hex'));
export const miner = key('01');
export const validator = key('02');
export const stranger = key('03');
export const sizes = { n: 16, num: 2 };

export const gpus: DeviceInfo[] = ['a', 'b'].map((digit) => ({
  uuid: digit.repeat(32),
  name: 'NVIDIA L40S',
  memory: 48_000_000_000,
  processors: 142,
  clock_rate: 2_520_000,
  max_threads_per_processor: 1536,
}));

export async function startBootstrap(refc1: Refc1Options = {}, change: Partial<StartOptions> = {}) {
  return startBootstrapServer({
    backend: refc1Backend(gpus, { sizes, ...refc1 }),
    miner: miner.address,
    validators: [validator.address],
    host: '127.0.0.1',
    port: 0,
    statusPort: 0,
    proveLimitMs: 60_000,
    log: pino({ level: 'silent' }),
    ...change,
  });
}

export interface Ask {
  by?: Signer;
  /** Text that is sent; the signature is over `signed`, by default over the same or the purpose. */
  body?: string;
  signed?: { body?: string; purpose?: string };
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Seconds that the signature is old. */
  age?: number;
}

export async function ask(url: string, { by = validator, body, signed, headers, signal, age = 0 }: Ask = {}) {
  const clock = { now: () => systemClock.now() - age * 1000 };
  const response = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: headers ?? serviceHeaders(by, miner.address, signed ?? { body, purpose: 'graval' }, clock),
    ...(body !== undefined && { body }),
    ...(signal && { signal }),
  });
  return { status: response.status, text: await response.text() };
}
