// A cluster repository in a temporary folder, and the real git beside it, for the tests of this folder.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Chute } from '../../domain/chute.ts';
import type { ServerConfig } from '../../domain/config.ts';
import type { DeploymentSpec } from '../../domain/deployment.ts';
import type { Server } from '../../domain/server.ts';
import { type ClusterRepoOptions, openClusterRepo } from '../clusterrepo.ts';
import { makeChute, makeServer, makeSpec, miner, render, serverName, validator } from './fixture.ts';

export const clock = { now: () => Date.now(), sleep: async () => {} };

export function git(dir: string, ...args: string[]): string {
  return execFileSync('git', ['-C', dir, '-c', 'user.name=Test', '-c', 'user.email=test@localhost', ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  }).trimEnd();
}

export function serverConfigOf(n: number): ServerConfig {
  return {
    name: serverName(n),
    validator,
    hourlyCost: 1.5,
    gpuShortRef: 'h100_sxm',
    agentApi: `http://192.0.2.${n}:32000`,
    locked: false,
  };
}

export function writeTemplate(dir: string): string {
  const template = join(dir, 'template');
  mkdirSync(join(template, 'servers'), { recursive: true });
  const validators = [
    { hotkey: validator, registry: 'registry.chutes.ai', api: 'https://api.chutes.ai', socket: 'wss://ws.chutes.ai' },
  ];
  writeFileSync(join(template, 'miner.yaml'), `# The miner\n${stringify({ hotkey: miner, validators })}`);
  writeFileSync(join(template, 'servers', 'example.yaml'), 'name: example\n');
  writeFileSync(join(template, 'README.md'), 'Read me\n');
  return template;
}

export const chutes: Chute[] = [makeChute(0, 1), makeChute(1, 2), makeChute(2, 4)];

export function lookup(spec: DeploymentSpec): { server: Server; chute: Chute } | undefined {
  const chute = chutes.find(({ chuteId }) => chuteId === spec.chuteId);
  const server = makeServer(Number(spec.server.replace('gpu-', '')));
  return chute && { server, chute };
}

/** The `slot`-th one-GPU deployment of a server with eight GPUs. */
export function specAt(server: number, slot: number): DeploymentSpec {
  const chute = chutes[0] ?? makeChute(0);
  return makeSpec({ id: server * 100 + slot, server, chute, gpus: [slot], nodePort: 31000 + 2 * slot });
}

export function optionsFor(dir: string): ClusterRepoOptions {
  return { dir: join(dir, 'repository.git'), template: join(dir, 'template'), render, lookup, clock };
}

export interface TestRepo {
  /** Temporary folder; the repository is `repository.git` in it. */
  dir: string;
  gitdir: string;
  remove(): void;
}

export function makeTestDir(): TestRepo {
  const dir = mkdtempSync(join(tmpdir(), 'clusterrepo-'));
  writeTemplate(dir);
  return { dir, gitdir: join(dir, 'repository.git'), remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** Run `work` on a fresh repository and remove it afterwards. */
export async function withRepo(
  work: (repo: Awaited<ReturnType<typeof openClusterRepo>>, at: TestRepo) => Promise<void>,
  change: Partial<ClusterRepoOptions> = {},
): Promise<void> {
  const at = makeTestDir();
  try {
    await work(await openClusterRepo({ ...optionsFor(at.dir), ...change }), at);
  } finally {
    at.remove();
  }
}
