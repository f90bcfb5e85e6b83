// The miner on a fleet, set up as an operator does it: cluster repository, Secrets, folder `argocd/` by hand once; all else comes from branch
// `live` by Argo CD. Our Deployments run as processes as soon as Argo CD has made them.

import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createMinerApi, type MinerApi } from '@miner/cli/miner-api.ts';
import { minerConfig, type ServerConfig, serverConfig } from '@miner/controller/domain/config.ts';
import type { Status } from '@miner/controller/roles/status.ts';
import { renderTree } from '@miner/manifests/render.ts';
import { stringify } from 'yaml';
import { freePort } from '../controller/test/supervised.ts';
import { bootstrap, currentProgram, git, makeSecrets, push, settingsOf } from './bootstrap.ts';
import { startDeployed } from './cluster/deployed.ts';
import type { Fleet } from './cluster/fleet.ts';
import { type KubeObject, readObjects } from './cluster/kube.ts';
import { type Process, waitFor } from './cluster/process.ts';

export interface Miner {
  readonly fleet: Fleet;
  readonly api: MinerApi;
  readonly apiUrl: string;
  readonly gepettoUrl: string;
  readonly controller: Process;
  readonly gepetto: Process;
  /** Of the servers whose agents were started. */
  readonly agents: ReadonlyMap<string, Process>;
  readonly linkToken: string;
  status(): Promise<Status>;
  /** A person's clone of a branch, up to date. */
  person(branch: 'main' | 'live'): string;
  /** Changes miner.yaml on `main` and pushes; resolves with the commit. */
  configure(change: (settings: Record<string, unknown>) => void): string;
  /** Starts the server's agent when Argo CD has made its Deployment. */
  startAgent(server: string): Promise<Process>;
  /** Starts what runs anew, as the Deployments say now, by other sources: what kubelets do after an upgrade. */
  roll(program: string): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Resolves when controller and Gepetto are ready. `program`: the sources that render and run, where they are not those of the tests.
 * `pollSeconds`: how often they ask the git host for news; scenes that push do not want to wait.
 */
export async function startMiner(fleet: Fleet, program = currentProgram, pollSeconds = 1): Promise<Miner> {
  const dir = join(fleet.dir, 'miner');
  mkdirSync(dir, { recursive: true });
  const linkToken = randomBytes(16).toString('hex');
  await makeSecrets(fleet, linkToken);
  await bootstrap(fleet, dir, program);
  const port = { api: await freePort(), link: await freePort(), gepetto: await freePort() };
  const apiUrl = `http://127.0.0.1:${port.api}`;
  const gepettoUrl = `http://127.0.0.1:${port.gepetto}`;
  const often = `--git-poll-seconds=${pollSeconds}`;
  const args = {
    controller: [`--port=${port.api}`, `--link-port=${port.link}`, '--host=127.0.0.1', '--link-host=127.0.0.1', often],
    gepetto: [`--port=${port.gepetto}`, '--host=127.0.0.1', often],
  };
  const agents = new Map<string, Process>();

  function startRole(name: keyof typeof args, sources: string): Promise<Process> {
    return startDeployed({
      plane: fleet.control,
      namespace: 'chutes',
      name,
      program: sources,
      dir: join(dir, name),
      args: args[name],
      instead: [
        [/postgres:\/\/\S+@postgres:5432\/\w+/, fleet.postgres.url],
        [/@redis:6379\/0/, `@${new URL(fleet.redis.url).host}/0`],
        [/http:\/\/controller:\d+/, `http://127.0.0.1:${port.link}`],
      ],
    });
  }

  async function untilReady(): Promise<void> {
    for (const [url, of] of [
      [apiUrl, controller],
      [gepettoUrl, gepetto],
    ] as const)
      await waitFor(`${of.name} is ready`, async () => (await fetch(`${url}/readyz`)).ok, { of, timeoutMs: 120_000 });
  }

  async function startAgent(name: string, sources = program): Promise<Process> {
    const { plane, server } = fleet.server(name);
    await agents.get(name)?.stop();
    const agent = await startDeployed({
      plane,
      namespace: 'chutes-system',
      name: 'agent',
      program: sources,
      dir: join(dir, `agent-${name}`),
      nodeName: name,
      args: [`--host=${server.ip}`, '--port=32000'],
    });
    agents.set(name, agent);
    const url = `http://${server.ip}:32000/ping`;
    await waitFor(`the agent of ${name} answers`, async () => (await fetch(url)).ok, { of: agent });
    return agent;
  }

  function clone(branch: 'main' | 'live'): string {
    const folder = mkdtempSync(join(dir, 'person-'));
    git(dir, 'clone', '--quiet', '--branch', branch, fleet.git.gitdir, folder);
    return folder;
  }

  let controller = await startRole('controller', program);
  let gepetto = await startRole('gepetto', program);
  await untilReady();
  const api = createMinerApi(apiUrl, fleet.miner);
  return {
    fleet,
    api,
    apiUrl,
    gepettoUrl,
    get controller() {
      return controller;
    },
    get gepetto() {
      return gepetto;
    },
    agents,
    linkToken,
    status: async () => (await api.get('/status')) as Status,
    person: clone,
    configure(change) {
      const folder = clone('main');
      const settings = settingsOf(fleet);
      change(settings);
      writeFileSync(join(folder, 'miner.yaml'), stringify(settings));
      git(folder, 'commit', '--quiet', '--allow-empty', '-am', 'Change miner.yaml');
      push(folder, 'main');
      return git(folder, 'rev-parse', 'HEAD');
    },
    startAgent,
    async roll(sources) {
      await controller.stop();
      controller = await startRole('controller', sources);
      await gepetto.stop();
      gepetto = await startRole('gepetto', sources);
      await untilReady();
      for (const name of [...agents.keys()]) await startAgent(name, sources);
    },
    async stop() {
      await Promise.all([...agents.values(), gepetto, controller].map((one) => one.stop()));
    },
  };
}

export function serverFile(fleet: Fleet, name: string): ServerConfig {
  const { server } = fleet.server(name);
  return serverConfig.parse({
    name,
    validator: fleet.validator.hotkey,
    hourlyCost: server.hourlyCost,
    gpuShortRef: server.gpuShortRef,
    agentApi: `http://${server.ip}:32000`,
  });
}

/** Pushes `servers/<name>.yaml` to `main`, as a person does. */
export function writeServerFile(miner: Miner, name: string, change: Partial<ServerConfig> = {}): void {
  const folder = miner.person('main');
  writeFileSync(join(folder, 'servers', `${name}.yaml`), stringify({ ...serverFile(miner.fleet, name), ...change }));
  git(folder, 'add', '--all');
  git(folder, 'commit', '--quiet', '--allow-empty', '-m', `Server ${name}`);
  push(folder, 'main');
}

/** What a new server is given by hand before the miner knows it. */
export function renderedFor(fleet: Fleet, name: string): KubeObject[] {
  const config = minerConfig.parse(settingsOf(fleet));
  const files = renderTree(config, new Map([[name, serverFile(fleet, name)]]));
  const objects = [...files].filter(([path]) => path.startsWith('members/')).flatMap(([, text]) => readObjects(text));
  // Namespaces before what is in them.
  return objects.sort((a, b) => Number(b.kind === 'Namespace') - Number(a.kind === 'Namespace'));
}
