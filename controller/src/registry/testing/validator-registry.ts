// Starts validator_registry.py, which checks signatures with a Python key library. Its environment is made once and kept.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type RunningProcess, startProcess } from './processes.ts';

const packages = ['py-sr25519-bindings==0.2.4', 'trustme==1.2.1'];
const cache = fileURLToPath(new URL('../../../../node_modules/.cache', import.meta.url));
const program = fileURLToPath(new URL('validator_registry.py', import.meta.url));

/** Path of a Python that has the packages. */
function python(): string {
  const dir = join(cache, `python-${createHash('sha256').update(packages.join()).digest('hex').slice(0, 12)}`);
  const binary = join(dir, 'bin/python');
  if (existsSync(binary)) return binary;
  mkdirSync(cache, { recursive: true });
  const building = mkdtempSync(join(cache, 'python-new-'));
  const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: 'pipe', timeout: 180_000 });
  run('/usr/bin/python3', '-m', 'venv', building);
  run(join(building, 'bin/python'), '-m', 'pip', 'install', '--quiet', '--only-binary', ':all:', ...packages);
  try {
    renameSync(building, dir);
  } catch {
    // Another test was faster.
    rmSync(building, { recursive: true });
  }
  return binary;
}

export interface RegistryRequest {
  method: string;
  path: string;
  host: string;
  /** Of our answer. */
  status: number;
  why: string | null;
  sni: string | null;
  /** Names in lower case. */
  headers: string[];
  /** Number of the connection, from 1. */
  connection: number;
}

export interface ValidatorRegistry {
  /** `name:port`. */
  address: string;
  /** PEM file of the authority that its certificate is from. */
  ca: string;
  /** All requests so far. */
  requests(): RegistryRequest[];
  stop(): Promise<void>;
}

export async function startValidatorRegistry(
  dir: string,
  name: string,
  miner: string,
  backend: string,
  host = '127.0.0.1',
): Promise<ValidatorRegistry> {
  mkdirSync(dir, { recursive: true });
  const ca = join(dir, `${name}.pem`);
  const args = [program, '--name', name, '--miner', miner, '--backend', backend, '--ca', ca, '--host', host];
  const front: RunningProcess<string> = await startProcess(
    python(),
    args,
    (line) => /^\{"port": (\d+)\}$/.exec(line)?.[1],
  );
  return {
    address: `${name}:${front.value}`,
    ca,
    requests: () => front.lines.filter((line) => line.startsWith('{"method"')).map((line) => JSON.parse(line)),
    stop: front.stop,
  };
}
