// Role `registry-auth`: beside nginx in a pod on every GPU server. Signs registry pulls of images whose chutes are placed on this node,
// for callers on the same machine only.

import { readFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import pino, { type Logger } from 'pino';
import { z } from 'zod';
import { parseYamlFile } from '../clusterrepo/configfile.ts';
import { systemClock } from '../domain/clock.ts';
import { minerConfig, validatorConfig } from '../domain/config.ts';
import { MinerError } from '../domain/errors.ts';
import { isServerName } from '../domain/ids.ts';
import { nodeCluster, watchImages } from '../registry/imagewatch.ts';
import { createPlacedPods } from '../registry/placed.ts';
import { createRegistryAuth } from '../registry/server.ts';
import { createStatusServer } from '../registry/status.ts';
import { loadHotkey } from '../signing/hotkey.ts';
import { optional, portNumber, type Role, type RunningRole, required } from './role.ts';

export interface RegistryAuthRoleOptions {
  hotkeyFile: string;
  /** miner.yaml; undefined: `validatorsJson` tells. */
  configFile: string | undefined;
  /** Environment `VALIDATORS` (protocol.md 7.1). */
  validatorsJson: string | undefined;
  /** Always on 127.0.0.1. 0: any free port. */
  port: number;
  statusHost: string;
  statusPort: number;
  /** Instead of the pod's service account. */
  kubeconfigFile: string | undefined;
  node: string;
  log?: Logger;
}

const validatorsEnv = z.object({ supported: z.array(validatorConfig.loose()).min(1) });

function hotkeysOfJson(text: string): string[] {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw new MinerError('E-CONFIG', 'VALIDATORS: found text that is not JSON, allowed: {"supported":[…]}');
  }
  const read = validatorsEnv.safeParse(content);
  if (!read.success) throw new MinerError('E-CONFIG', `VALIDATORS: ${z.prettifyError(read.error)}`);
  return read.data.supported.map(({ hotkey }) => hotkey);
}

async function hotkeysOfFile(file: string, own: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => {
    throw new MinerError('E-CONFIG', `${file}: found no file that can be read, allowed: the miner's miner.yaml`);
  });
  const { hotkey, validators } = parseYamlFile(text, file, minerConfig);
  if (hotkey === own) return validators.map((validator) => validator.hotkey);
  throw new MinerError('E-HOTKEY', `${file}: hotkey: found ${hotkey}, but the hotkey file is that of ${own}`);
}

function validatorsOf({ configFile, validatorsJson }: RegistryAuthRoleOptions, own: string): Promise<string[]> {
  if (configFile !== undefined) return hotkeysOfFile(configFile, own);
  if (validatorsJson) return Promise.resolve(hotkeysOfJson(validatorsJson));
  throw new MinerError('E-USAGE', '--config is missing, and so is VALIDATORS in the environment');
}

async function listen(server: Server, host: string, port: number): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const { address, port: taken } = server.address() as AddressInfo;
  return `http://${address.includes(':') ? `[${address}]` : address}:${taken}`;
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

/** Resolves when it listens; until the node's pods are listed for the first time, pulls wait a moment and are refused. */
export async function runRegistryAuth(
  options: RegistryAuthRoleOptions,
): Promise<RunningRole & { url: string; statusUrl: string }> {
  const { node, log = pino() } = options;
  if (!isServerName(node)) throw new MinerError('E-USAGE', `--node: found "${node}", allowed: the node's name`);
  const config = nodeCluster(options.kubeconfigFile);
  const signer = await loadHotkey(options.hotkeyFile);
  const validators = await validatorsOf(options, signer.address);
  const placed = createPlacedPods();
  const auth = createRegistryAuth({ signer, validators, placed, clock: systemClock });
  const url = await listen(auth.server, '127.0.0.1', options.port);
  const watch = watchImages({
    config,
    node,
    placed,
    onFailure: (why) => log.warn(`the chute pods of ${node} cannot be followed, the last list stays in force: ${why}`),
  });
  const sources = { counts: auth.counts, repositories: placed.size, listedAt: watch.listedAt, clock: systemClock };
  const status = createStatusServer(sources);
  const statusUrl = await listen(status, options.statusHost, options.statusPort);
  log.info({ url, statusUrl, node, hotkey: signer.address, validators }, 'registry auth is up');
  return {
    url,
    statusUrl,
    async stop() {
      await Promise.all([close(auth.server), close(status), watch.stop()]);
      signer.close();
    },
  };
}

export const role: Role = {
  summary:
    'Signs registry pulls of one GPU server, for images of chutes that are placed on it; nginx in the same pod asks it.',
  help: `  --hotkey FILE          hotkey of the miner (wallet JSON)
  --config FILE          miner.yaml, for its validators (default: JSON in the environment variable VALIDATORS)
  --node NODE            name of the own node (default: environment variable NODE_NAME)
  --port PORT            port to listen on, on 127.0.0.1 only (default: 8000)
  --status-port PORT     port of /healthz, /readyz and /metrics (default: 8001)
  --status-host ADDRESS  address of /healthz, /readyz and /metrics (default: 127.0.0.1)
  --kubeconfig FILE      cluster of the node (default: that of the pod's service account)`,
  options: {
    hotkey: { type: 'string' },
    config: { type: 'string' },
    node: { type: 'string' },
    port: { type: 'string', default: '8000' },
    'status-port': { type: 'string', default: '8001' },
    'status-host': { type: 'string', default: '127.0.0.1' },
    kubeconfig: { type: 'string' },
  },
  start: (values) =>
    runRegistryAuth({
      hotkeyFile: required(values, 'hotkey'),
      configFile: optional(values, 'config'),
      validatorsJson: process.env.VALIDATORS,
      node: required({ node: process.env.NODE_NAME, ...values }, 'node'),
      port: portNumber(values, 'port'),
      statusPort: portNumber(values, 'status-port'),
      statusHost: required(values, 'status-host'),
      kubeconfigFile: optional(values, 'kubeconfig'),
    }),
};
