// The miner on a fleet, set up as an operator does it: cluster repository, Secrets, folder `argocd/` by hand once; all else comes from branch
// `live` by Argo CD. Our Deployments run as processes as soon as Argo CD has made them.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createMinerApi, type MinerApi } from '@miner/cli/miner-api.ts';
import { minerConfig, type ServerConfig, serverConfig } from '@miner/controller/domain/config.ts';
import type { Status } from '@miner/controller/roles/status.ts';
import { renderTree } from '@miner/manifests/render.ts';
import { stringify } from 'yaml';
import { freePort } from '../controller/test/supervised.ts';
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
  stop(): Promise<void>;
}

const root = fileURLToPath(new URL('..', import.meta.url));
const person = ['-c', 'user.name=A person', '-c', 'user.email=person@localhost'];

export function git(dir: string, ...args: string[]): string {
  return execFileSync('git', ['-C', dir, ...person, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();
}

function settingsOf({ miner, validator, git: host }: Fleet): Record<string, unknown> {
  const address = new URL(validator.url).host;
  return {
    hotkey: miner.address,
    validators: [
      { hotkey: validator.hotkey, registry: 'registry.chutes.ai', api: validator.url, socket: `ws://${address}` },
    ],
    git: { mode: 'external', url: host.url },
    policy: { mode: 'active' },
  };
}

/** What README and docs/manifests.md tell to make before anything is applied. */
async function makeSecrets(fleet: Fleet, linkToken: string): Promise<void> {
  const hotkey = readFileSync(fleet.hotkeyFile, 'utf8');
  const make = (name: string, namespace: string, stringData: Record<string, string>) => [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData },
  ];
  await fleet.control.kube.apply(
    ...make('miner-credentials', 'chutes', { 'hotkey.json': hotkey }),
    ...make('postgres-secret', 'chutes', { 'postgres-password': 'unused0' }),
    ...make('redis-secret', 'chutes', { 'redis-password': fleet.redisPassword }),
    ...make('link-token', 'chutes', { token: linkToken }),
    ...make('git-credentials', 'chutes', { credentials: fleet.git.credential }),
  );
  for (const { server, plane } of fleet.servers) {
    const kubeconfig = plane.userKubeconfig('miner', [], server.name);
    await plane.kube.apply(
      ...make('miner-credentials', 'chutes-system', { 'hotkey.json': hotkey }),
      ...make('miner-kubeconfig', 'default', { kubeconfig }),
    );
  }
}

/** The first commits of `main` and `live`, and folder `argocd/` applied by hand. */
async function bootstrap(fleet: Fleet, dir: string): Promise<void> {
  const [main, live] = [join(dir, 'first-main'), join(dir, 'first-live')];
  cpSync(join(root, 'cluster-repo-template'), main, { recursive: true });
  writeFileSync(join(main, 'miner.yaml'), stringify(settingsOf(fleet)));
  const synth = [join(root, 'manifests-src/main.ts'), '--repo', main, '--out', live];
  execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', ...synth], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  for (const [folder, branch] of [
    [main, 'main'],
    [live, 'live'],
  ] as const) {
    git(folder, 'init', '--quiet', `--initial-branch=${branch}`);
    git(folder, 'add', '--all');
    git(folder, 'commit', '--quiet', '-m', branch === 'main' ? 'Start from the template' : 'What main says, rendered');
    git(folder, 'push', '--quiet', fleet.git.gitdir, branch);
  }
  for (const name of ['settings', 'notifications', 'projects', 'control', 'members', 'chutes']) {
    const text = readIfThere(join(live, 'argocd', `${name}.yaml`));
    if (text !== undefined) await fleet.control.kube.apply(...readObjects(text));
  }
  await fleet.argocd.restart();
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Resolves when controller and Gepetto are ready. */
export async function startMiner(fleet: Fleet): Promise<Miner> {
  const dir = join(fleet.dir, 'miner');
  mkdirSync(dir, { recursive: true });
  const linkToken = randomBytes(16).toString('hex');
  await makeSecrets(fleet, linkToken);
  await bootstrap(fleet, dir);
  const port = { api: await freePort(), link: await freePort(), gepetto: await freePort() };
  const apiUrl = `http://127.0.0.1:${port.api}`;
  const gepettoUrl = `http://127.0.0.1:${port.gepetto}`;
  const deployed = {
    plane: fleet.control,
    namespace: 'chutes',
    instead: [
      [/postgres:\/\/\S+@postgres:5432\/\w+/, fleet.postgres.url],
      [/@redis:6379\/0/, `@${new URL(fleet.redis.url).host}/0`],
      [/http:\/\/controller:\d+/, `http://127.0.0.1:${port.link}`],
    ] as const,
  };
  const often = '--git-poll-seconds=1';
  const controller = await startDeployed({
    ...deployed,
    name: 'controller',
    dir: join(dir, 'controller'),
    args: [`--port=${port.api}`, `--link-port=${port.link}`, '--host=127.0.0.1', '--link-host=127.0.0.1', often],
  });
  const gepetto = await startDeployed({
    ...deployed,
    name: 'gepetto',
    dir: join(dir, 'gepetto'),
    args: [`--port=${port.gepetto}`, '--host=127.0.0.1', often],
  });
  for (const [url, of] of [
    [apiUrl, controller],
    [gepettoUrl, gepetto],
  ] as const)
    await waitFor(`${of.name} is ready`, async () => (await fetch(`${url}/readyz`)).ok, { of, timeoutMs: 120_000 });
  const api = createMinerApi(apiUrl, fleet.miner);
  const agents = new Map<string, Process>();
  const clone = (branch: 'main' | 'live') => {
    const folder = mkdtempSync(join(dir, 'person-'));
    git(dir, 'clone', '--quiet', '--branch', branch, fleet.git.gitdir, folder);
    return folder;
  };
  return {
    fleet,
    api,
    apiUrl,
    gepettoUrl,
    controller,
    gepetto,
    agents,
    linkToken,
    status: async () => (await api.get('/status')) as Status,
    person: clone,
    configure(change) {
      const folder = clone('main');
      const settings = settingsOf(fleet);
      change(settings);
      writeFileSync(join(folder, 'miner.yaml'), stringify(settings));
      git(folder, 'commit', '--quiet', '-am', 'Change miner.yaml');
      git(folder, 'push', '--quiet', 'origin', 'main');
      return git(folder, 'rev-parse', 'HEAD');
    },
    async startAgent(name) {
      const { plane, server } = fleet.server(name);
      const agent = await startDeployed({
        plane,
        namespace: 'chutes-system',
        name: 'agent',
        dir: join(dir, `agent-${name}`),
        nodeName: name,
        args: [`--host=${server.ip}`, '--port=32000'],
      });
      agents.set(name, agent);
      const url = `http://${server.ip}:32000/ping`;
      await waitFor(`the agent of ${name} answers`, async () => (await fetch(url)).ok, { of: agent });
      return agent;
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
  git(folder, 'push', '--quiet', 'origin', 'main');
}

/** What a new server is given by hand before the miner knows it. */
export function renderedFor(fleet: Fleet, name: string): KubeObject[] {
  const config = minerConfig.parse(settingsOf(fleet));
  const files = renderTree(config, new Map([[name, serverFile(fleet, name)]]));
  const objects = [...files].filter(([path]) => path.startsWith('members/')).flatMap(([, text]) => readObjects(text));
  // Namespaces before what is in them.
  return objects.sort((a, b) => Number(b.kind === 'Namespace') - Number(a.kind === 'Namespace'));
}
