// Controller and Gepetto as they are deployed, a process each, on a real PostgreSQL, Redis and git over HTTP. Nothing is left running when
// the process ends, however it ends.

import { mkdtempSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { git, push } from '@miner/e2e/bootstrap.ts';
import { type Process, startProcess, waitFor } from '@miner/e2e/cluster/process.ts';
import { startPostgres } from '../../controller/test/postgres.ts';
import { startRedis } from '../../controller/test/redis.ts';
import { freePort } from '../../controller/test/supervised.ts';
import { type Usage, usageOf } from '../argocd/usage.ts';
import { openEnds } from '../ends.ts';
import { forkGitHost } from '../githost.ts';
import { forkWorld, type World } from './world.ts';

export const roleNames = ['controller', 'gepetto'] as const;
export type RoleName = (typeof roleNames)[number];

export interface RoleUsage extends Usage {
  /** Open sockets of all kinds. */
  sockets: number;
}

export interface Stage {
  world: World;
  usage(role: RoleName): RoleUsage;
  /** CPU seconds of the simulated world. */
  worldCpu(): number;
  /** Sum of the controller's gauges of this name whose labels hold `labels`, such as `state="active"`. */
  gauge(name: string, labels?: string): Promise<number>;
  /** Both roles are asked for their metrics, as Prometheus does. */
  scrape(): Promise<void>;
  /** Pushes files `servers/<name>.yaml` to `main` in one commit. */
  addServers(names: readonly string[]): void;
  stop(): Promise<void>;
}

const program = fileURLToPath(new URL('../../controller/src/main.ts', import.meta.url));
/** What V8 gives itself in a container of 2 GiB, the limit of both Deployments; by the memory of this machine it would collect less often. */
const heapMib = 1024;
/** A profile is written at the end. */
const stopMs = 20_000;

function socketsOf(pid: number | undefined): number {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).filter((fd) => {
      try {
        return readlinkSync(join(folder, fd)).startsWith('socket:');
      } catch {
        return false;
      }
    }).length;
  } catch {
    return 0;
  }
}

export async function openStage(servers: number): Promise<Stage> {
  const ends = openEnds('bench-roles-');
  const { dir, stop } = ends;

  function secret(name: string, text: string): string {
    const path = join(dir, name);
    writeFileSync(path, `${text}\n`, { mode: 0o600 });
    return path;
  }

  try {
    const postgres = await startPostgres();
    ends.add(postgres.stop);
    const redis = await startRedis({ password: 'pw' });
    ends.add(redis.stop);
    const host = await forkGitHost();
    ends.add(host.stop);
    const world = await forkWorld(join(dir, 'world'), host.gitdir, servers);
    ends.add(world.stop);

    const port = { api: await freePort(), link: await freePort(), gepetto: await freePort() };
    const url = { controller: `http://127.0.0.1:${port.api}`, gepetto: `http://127.0.0.1:${port.gepetto}` };
    const options = {
      template: world.template,
      host: '127.0.0.1',
      'git-url': host.url,
      'git-credential-file': secret('credential', host.credential),
      'postgres-file': secret('postgres-url', postgres.url),
      'redis-file': secret('redis-url', redis.url.replace('redis://', 'redis://:pw@')),
      'link-token-file': secret('link-token', 'a-token-of-this-figure'),
    };
    const { PROFILES } = process.env;
    const own = {
      controller: {
        hotkey: world.hotkeyFile,
        port: port.api,
        'link-host': '127.0.0.1',
        'link-port': port.link,
      },
      gepetto: { controller: `http://127.0.0.1:${port.link}`, port: port.gepetto },
    };

    async function startRole(name: RoleName): Promise<Process> {
      const repository = join(dir, `${name}.git`);
      const all = { ...options, ...own[name], repository };
      const profile = PROFILES
        ? ['--cpu-prof', `--cpu-prof-dir=${PROFILES}`, `--cpu-prof-name=${name}-${servers}.cpuprofile`]
        : [];
      const role = startProcess({
        name,
        command: process.execPath,
        args: [
          '--disable-warning=ExperimentalWarning',
          `--max-old-space-size=${heapMib}`,
          ...profile,
          program,
          name,
          ...Object.entries(all).map(([option, value]) => `--${option}=${value}`),
        ],
        env: { NODE_ENV: 'production' },
        logFile: join(PROFILES || dir, `${name}-${servers}.log`),
      });
      ends.add(() => role.stop(stopMs));
      await waitFor(`${name} is ready`, async () => (await fetch(`${url[name]}/readyz`)).ok, {
        of: role,
        timeoutMs: 300_000,
        everyMs: 500,
      });
      return role;
    }

    const roles = { controller: await startRole('controller'), gepetto: await startRole('gepetto') };
    const metricsOf = async (name: RoleName) => (await fetch(`${url[name]}/metrics`)).text();
    return {
      world,
      stop,
      usage: (name) => ({ ...usageOf(roles[name].pid()), sockets: socketsOf(roles[name].pid()) }),
      worldCpu: () => usageOf(world.pid).cpu,
      async gauge(name, labels = '') {
        const lines = (await metricsOf('controller')).split('\n');
        const values = lines.filter((line) => new RegExp(`^${name}[ {]`).test(line) && line.includes(labels));
        return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
      },
      async scrape() {
        await Promise.all(roleNames.map(metricsOf));
      },
      addServers(names) {
        const clone = mkdtempSync(join(dir, 'person-'));
        git(clone, 'clone', '--quiet', '--branch', 'main', host.gitdir, '.');
        for (const name of names) writeFileSync(join(clone, 'servers', `${name}.yaml`), world.servers[name] ?? '');
        git(clone, 'add', '--all');
        git(clone, 'commit', '--quiet', '-m', `${names.length} servers`);
        push(clone, 'main');
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
