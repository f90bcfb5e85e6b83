// Gepetto on a real git host, with a real store; the controller's link is played: tokens are granted, Secrets are remembered, members are
// well and run nothing.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { startGitHost, type TestGitHost } from '../../../test/githttp.ts';
import { createInProcessBus } from '../../bus/inprocess.ts';
import { makeChute, makeServer, miner, validator } from '../../clusterrepo/testing/fixture.ts';
import { git, serverConfigOf, writeTemplate } from '../../clusterrepo/testing/testrepo.ts';
import type { Chute } from '../../domain/chute.ts';
import { systemClock } from '../../domain/clock.ts';
import { lifecycleOf } from '../../domain/lifecycle.ts';
import type { ControllerLink, Feeds } from '../../domain/ports.ts';
import * as f from '../../gepetto/fixtures.ts';
import { createMetrics } from '../../metrics/metrics.ts';
import { openStore } from '../../store/open.ts';
import { type Gepetto, startGepetto } from '../gepetto.ts';
import { readGitOptions } from '../gitoptions.ts';
import { gitObstacle } from '../gitwatch.ts';
import { openRepository } from '../repository.ts';
import { healthy } from './healthy.ts';
import { until } from './scene.ts';

const serverNumbers = [1, 2];

export interface GitScene {
  host: TestGitHost;
  /** A person's clone, up to date. */
  person(branch: 'main' | 'live'): string;
  /** Chutes that the validator lists. */
  list(...chutes: Chute[]): void;
  gepetto(): Gepetto;
  /** Ends Gepetto and its repository and starts them anew. */
  restart(): Promise<void>;
  stop(): Promise<void>;
  store: Awaited<ReturnType<typeof openStore>>;
  repo: Awaited<ReturnType<typeof openRepository>>;
  /** Deployment ids with a Secret. */
  secrets: ReadonlySet<string>;
  /** Tokens asked for so far. */
  launches(): number;
  /** What the last pass held back. */
  held(): readonly string[];
  deletedInstances: readonly string[];
}

/** A chute for one GPU of any server here. */
export function chuteOf(n: number): Chute {
  return makeChute(n, 1);
}

/** Deployment files on the host's `live`. */
export function filesOn({ gitdir }: Pick<TestGitHost, 'gitdir'>): string[] {
  return git(gitdir, 'ls-tree', '-r', '--name-only', 'live', 'chutes').split('\n').filter(Boolean);
}

/** Their paths. */
export async function untilDeployed(scene: GitScene, count: number): Promise<string[]> {
  await until(() => filesOn(scene.host).length === count || undefined, `${count} deployments on the host`, 60_000);
  return filesOn(scene.host);
}

/** Deployment id of a path. */
export function idOf(path: string): string {
  return path.split('/').at(-1)?.replace('.yaml', '') ?? '';
}

export async function rowOf({ store }: GitScene, id: string) {
  return (await store.lifecycles(0)).find(({ deploymentId }) => deploymentId === id);
}

/** Runs `work` on a fresh host and ends everything afterwards. */
export async function atGitHost(work: (scene: GitScene) => Promise<void>): Promise<void> {
  const host = await startGitHost();
  const dir = mkdtempSync(join(tmpdir(), 'gitscene-'));
  const template = writeTemplate(dir);
  const credentialFile = join(dir, 'credential');
  writeFileSync(credentialFile, `${host.credential}\n`, { mode: 0o600 });
  const log = pino({ level: process.env.TEST_LOG ?? 'silent' });
  const store = await openStore({ dir: join(dir, 'db') });
  const clock = systemClock;
  for (const n of serverNumbers) await store.addServer(makeServer(n));
  const secrets = new Set<string>();
  const deletedInstances: string[] = [];
  let chutes: Chute[] = [];
  let launches = 0;
  let held: readonly string[] = [];
  const changes = new Set<() => void>();
  const servers = serverNumbers.map((n) => makeServer(n).name);
  const names = new Map(serverNumbers.map((n) => [makeServer(n).name, n]));

  function feeds(): ReadonlyMap<string, Feeds> {
    const [made] = f.world({ chutes, fetchedAt: clock.now() }).feeds.values();
    return new Map(made ? [[validator, made]] : []);
  }

  function wellNow() {
    return new Map([...healthy(...servers)].map(([name, health]) => [name, { ...health, syncedAt: clock.now() }]));
  }

  const link: ControllerLink = {
    feeds,
    observe: () => ({ pods: [], health: wellNow() }),
    onChange: (listener) => void changes.add(listener),
    async launch(specs) {
      launches += specs.length;
      for (const spec of specs) {
        const configId = f.id(`config of ${spec.deploymentId}`);
        await store.addLifecycle([{ ...lifecycleOf(spec, clock.now()), configId, tokenAt: clock.now() }]);
        secrets.add(spec.deploymentId);
      }
      return specs.map(({ deploymentId }) => ({ granted: true, configId: f.id(`config of ${deploymentId}`) }));
    },
    async cancel(specs) {
      for (const { deploymentId } of specs) secrets.delete(deploymentId);
    },
    async deleteInstance(_validator, _chuteId, instanceId) {
      deletedInstances.push(instanceId);
    },
    releaseJob: async () => undefined,
    chute: async (_validator, chuteId) => chutes.find((chute) => chute.chuteId === chuteId),
    refreshFeeds: () => undefined,
    refreshApplications: () => undefined,
    report(pass) {
      held = pass.held;
    },
  };

  async function start() {
    let lookup: Parameters<Parameters<typeof startGepetto>[0]['onLookup']>[0] = () => undefined;
    let wake: () => void = () => undefined;
    const options = { 'git-url': host.url, 'git-credential-file': credentialFile, 'git-poll-seconds': '1' };
    const repo = await openRepository({
      dir: join(dir, 'copy.git'),
      template,
      git: await readGitOptions({ ...options, 'git-timeout-seconds': '20' }),
      log,
      lookup: (spec) => lookup(spec) ?? known(spec.server),
      onMoved: () => wake(),
      onProblem: () => wake(),
    });
    // A server that is not on main is about to go and takes nothing.
    for (const n of serverNumbers) await repo.writeServer(serverConfigOf(n));
    const gepetto = await startGepetto({
      hotkey: miner,
      store,
      repo,
      bus: createInProcessBus({ log, retryDelayMs: 100 }),
      link,
      metrics: createMetrics({ process: false }),
      clock,
      log,
      obstacle: () => gitObstacle(repo, clock),
      onLookup: (found) => {
        lookup = found;
      },
    });
    wake = gepetto.wake;
    return { repo, gepetto };
  }

  function known(name: string) {
    const [chute] = chutes;
    return chute && { server: makeServer(names.get(name) ?? 1), chute };
  }

  let running: Awaited<ReturnType<typeof start>> | undefined = await start();
  async function stop(): Promise<void> {
    const ending = running;
    running = undefined;
    await ending?.gepetto.stop();
    await ending?.repo.close();
  }
  function up() {
    if (!running) throw new Error('gepetto is stopped');
    return running;
  }
  try {
    await work({
      host,
      store,
      secrets,
      deletedInstances,
      launches: () => launches,
      held: () => held,
      gepetto: () => up().gepetto,
      get repo() {
        return up().repo;
      },
      person(branch) {
        const clone = mkdtempSync(join(dir, 'person-'));
        git(dir, 'clone', '--quiet', '--branch', branch, host.gitdir, clone);
        return clone;
      },
      list(...next) {
        chutes = next;
        for (const listener of changes) listener();
      },
      stop,
      async restart() {
        await stop();
        running = await start();
      },
    });
  } finally {
    host.fault = { kind: 'none' };
    await stop();
    await store.close();
    await host.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}
