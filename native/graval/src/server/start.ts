// Brings the bootstrap server up over an opened backend, and down again: first its callers, then the proof that runs, then the GPUs.

import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, systemClock } from '@miner/controller/domain/clock.ts';
import type { Logger } from 'pino';
import type { DeviceInfo, GravalBackend } from '../backend.ts';
import { createBootstrapServer } from './app.ts';
import { createOgvService } from './ogv.ts';
import { refusal } from './problem.ts';
import { createProofs } from './proofs.ts';
import { createFigures, createStatusServer } from './status.ts';

export interface StartOptions {
  backend: GravalBackend;
  /** Own hotkey and those that may challenge (ss58). */
  miner: string;
  validators: readonly string[];
  /** Where `/remote_token` may fetch, such as `https://api.chutes.ai`; default: nowhere. */
  tokenOrigins?: readonly string[];
  host: string;
  /** 0: any free port. */
  port: number;
  /** Of `/healthz` and `/metrics`; undefined: not served. */
  statusPort: number | undefined;
  /** Longest proof, wall-clock ms. */
  proveLimitMs: number;
  clock?: Pick<Clock, 'now'>;
  log: Pick<Logger, 'info' | 'warn' | 'error'>;
}

export interface RunningBootstrap {
  url: string;
  statusUrl: string | undefined;
  devices: readonly DeviceInfo[];
  stop(): Promise<void>;
}

async function listen(server: Server, host: string, port: number): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return `http://${host}:${(server.address() as AddressInfo).port}`;
}

/** Rejects with the backend's error when there is no GPU to answer for; then nothing listens. */
export async function startBootstrapServer(options: StartOptions): Promise<RunningBootstrap> {
  const { backend, miner, validators, host, clock = systemClock, log, proveLimitMs: limitMs } = options;
  const { prover } = backend;
  const devices = await backend.devices();
  if (!prover && !backend.ogv) throw refusal('NO_DEVICE', `backend ${backend.kind} cannot prove GPUs to a validator`);
  const startedAt = clock.now();
  const onUndecrypted = (uuid: string, error: unknown) =>
    log.warn({ uuid, reason: String(error) }, 'a text was not decrypted');
  const vendor = prover && { prover, proofs: createProofs({ prover, devices, limitMs, onUndecrypted }) };
  const load = () => vendor?.proofs.load() ?? 0;
  const figures = createFigures({ kind: backend.kind, gpus: devices.length, load, clock });
  const app = await createBootstrapServer({
    devices,
    vendor,
    ogv: backend.ogv && createOgvService({ ogv: backend.ogv, devices, limitMs }),
    miner,
    validators,
    tokenOrigins: new Set(options.tokenOrigins),
    figures,
    clock,
    log,
  });
  const status = createStatusServer(figures, () => ({
    backend: backend.kind,
    gpus: devices.length,
    proofs: load(),
    startedAt,
  }));

  async function stop(): Promise<void> {
    status.closeAllConnections();
    status.close();
    await Promise.all([app.close(), vendor?.proofs.stop()]);
    await backend.close();
  }

  try {
    const { statusPort } = options;
    const statusUrl = statusPort === undefined ? undefined : await listen(status, host, statusPort);
    const url = await app.listen({ host, port: options.port });
    log.info({ url, statusUrl, backend: backend.kind, gpus: devices.map(({ name }) => name) }, 'GPU proofs are served');
    return { url, statusUrl, devices, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
