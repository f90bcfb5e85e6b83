// Role `graval-bootstrap`: in the pod of a GPU verification. Answers for the GPUs of its server to the miner and to the named validators,
// and to nobody else.

import { writeFileSync } from 'node:fs';
import { type BackendOptions, openBackend } from '@miner/graval/select.ts';
import { type RunningBootstrap, startBootstrapServer } from '@miner/graval/server/start.ts';
import pino, { type Logger } from 'pino';
import { MinerError, messageOf } from '../domain/errors.ts';
import { decodeAddress } from '../signing/ss58.ts';
import { type OptionValues, optional, portNumber, type Role, type RunningRole, wholeNumber } from './role.ts';

export interface GravalBootstrapOptions {
  minerHotkey: string;
  validators: readonly string[];
  tokenOrigins: readonly string[];
  backend: BackendOptions;
  host: string;
  port: number;
  statusPort: number;
  proveLimitMs: number;
  /** The server ends by itself after this long: a controller that is gone must not leave the GPUs taken. */
  lifetimeMs: number;
  log?: Logger;
}

const terminationLog = '/dev/termination-log';

/** Kubernetes shows it as the reason of the container's end. */
function tellKubernetes(message: string): void {
  try {
    writeFileSync(terminationLog, message, { flag: 'r+' });
  } catch {
    // Not in a pod.
  }
}

/** Resolves when it answers. Rejects when there is no backend or no GPU. */
export async function runGravalBootstrap(options: GravalBootstrapOptions): Promise<RunningRole & RunningBootstrap> {
  const { minerHotkey: miner, lifetimeMs, log = pino() } = options;
  let running: RunningBootstrap;
  try {
    running = await startBootstrapServer({ ...options, miner, backend: openBackend(options.backend), log });
  } catch (error) {
    tellKubernetes(messageOf(error));
    throw error;
  }
  const end = setTimeout(() => process.kill(process.pid, 'SIGTERM'), lifetimeMs).unref();
  return {
    ...running,
    async stop() {
      clearTimeout(end);
      await running.stop();
    },
  };
}

function hotkeys(values: OptionValues, name: string): [string, ...string[]] {
  const [first, ...others] = (optional(values, name) ?? '').split(',').filter((one) => one !== '');
  if (first === undefined)
    throw new MinerError('E-USAGE', `--${name} is missing: without it anybody could challenge the GPUs`);
  for (const hotkey of [first, ...others])
    if (!decodeAddress(hotkey))
      throw new MinerError('E-USAGE', `--${name}: found "${hotkey}", allowed: ss58 addresses`);
  return [first, ...others];
}

function origins(values: OptionValues): string[] {
  const urls = (optional(values, 'validator-api') ?? '').split(',').filter((one) => one !== '');
  return urls.map((url) => {
    if (URL.canParse(url) && new URL(url).protocol === 'https:') return new URL(url).origin;
    throw new MinerError('E-USAGE', `--validator-api: found "${url}", allowed: https URLs`);
  });
}

const kinds = ['auto', 'vendor', 'cuda', 'cpu'] as const;

function backendOf(values: OptionValues): BackendOptions {
  const kind = kinds.find((one) => one === values.backend);
  if (kind) return { backend: kind, minerLibrary: optional(values, 'library') };
  throw new MinerError('E-USAGE', `--backend: found "${values.backend}", allowed: ${kinds.join(', ')}`);
}

/** The Job sets the environment only (graval.md 4.2). */
function withEnvironment(values: OptionValues, env: NodeJS.ProcessEnv): OptionValues {
  return {
    ...values,
    hotkey: values.hotkey ?? env.MINER_HOTKEY_SS58,
    'validator-whitelist': values['validator-whitelist'] ?? env.VALIDATOR_WHITELIST,
    'validator-api': values['validator-api'] ?? env.VALIDATOR_API,
    backend: values.backend ?? env.GRAVAL_BACKEND ?? 'auto',
    library: values.library ?? env.GRAVAL_LIBRARY,
  };
}

export function readGravalBootstrapOptions(given: OptionValues, env: NodeJS.ProcessEnv): GravalBootstrapOptions {
  const values = withEnvironment(given, env);
  return {
    minerHotkey: hotkeys(values, 'hotkey')[0],
    validators: hotkeys(values, 'validator-whitelist'),
    tokenOrigins: origins(values),
    backend: backendOf(values),
    host: optional(values, 'host') ?? '0.0.0.0',
    port: portNumber(values, 'port'),
    statusPort: portNumber(values, 'status-port'),
    proveLimitMs: wholeNumber(values, 'prove-limit', { min: 1, max: 3600 }) * 1000,
    lifetimeMs: wholeNumber(values, 'lifetime', { min: 60, max: 86_400 }) * 1000,
  };
}

export const role: Role = {
  summary: 'Proves the GPUs of one server to the validators, while the server is being added or verified again.',
  help: `  --hotkey ADDRESS               the miner's hotkey (default: environment MINER_HOTKEY_SS58)
  --validator-whitelist A[,B…]   hotkeys that may challenge (default: environment VALIDATOR_WHITELIST)
  --validator-api URL[,URL…]     where a validator may have a token fetched, https only (default: environment VALIDATOR_API; nowhere)
  --backend KIND                 auto, vendor, cuda or cpu (default: environment GRAVAL_BACKEND, or auto; cpu only when asked for)
  --library FILE                 libgraval-miner.so of the vendor (default: environment GRAVAL_LIBRARY)
  --host ADDRESS                 address to listen on (default: 0.0.0.0)
  --port PORT                    port to listen on (default: 8000)
  --status-port PORT             port of /healthz and /metrics (default: 8001)
  --prove-limit SECONDS          longest proof (default: 900)
  --lifetime SECONDS             ends by itself after this long (default: 3600)`,
  options: {
    hotkey: { type: 'string' },
    'validator-whitelist': { type: 'string' },
    'validator-api': { type: 'string' },
    backend: { type: 'string' },
    library: { type: 'string' },
    host: { type: 'string', default: '0.0.0.0' },
    port: { type: 'string', default: '8000' },
    'status-port': { type: 'string', default: '8001' },
    'prove-limit': { type: 'string', default: '900' },
    lifetime: { type: 'string', default: '3600' },
  },
  start: (values) => runGravalBootstrap(readGravalBootstrapOptions(values, process.env)),
};
