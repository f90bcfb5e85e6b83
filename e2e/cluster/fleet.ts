// All that a miner has around it: a control cluster with Argo CD, GPU servers with clusters of their own, a git host, PostgreSQL, Redis and a
// validator. The miner itself is not started here.

import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { scaledClock } from '@miner/controller/domain/clock.ts';
import { seededRandom } from '@miner/controller/domain/random.ts';
import { createSigner, type Signer } from '@miner/controller/signing/sr25519.ts';
import { createLedger, type Ledger } from '@miner/simulator/cluster/record.ts';
import { makeServers } from '@miner/simulator/cluster/servers.ts';
import { type SimulatedValidator, startValidator } from '@miner/simulator/validator/validator.ts';
import { startGitHost, type TestGitHost } from '../../controller/test/githttp.ts';
import { startPostgres, type TestPostgres } from '../../controller/test/postgres.ts';
import { startRedis, type TestRedis } from '../../controller/test/redis.ts';
import { type ArgoCd, startArgoCd } from './argocd.ts';
import { type ControlPlane, startControlPlane } from './controlplane.ts';
import { type GpuServer, startGpuServer } from './gpuserver.ts';
import { playedNode, startKwok } from './kwok.ts';
import type { Process } from './process.ts';
import type { Tools } from './tools.ts';

export interface FleetOptions {
  /** Of everything; may not be shared with another fleet that runs. */
  dir: string;
  tools: Tools;
  /** GPU servers. Default: 2. */
  servers?: number;
  /** How many times faster than in the world the validator's clock and launches go. Default: 120. */
  speed?: number;
  /** Told what happens. */
  tell?: (line: string) => void;
}

export interface Fleet {
  readonly dir: string;
  readonly tools: Tools;
  readonly control: ControlPlane;
  readonly argocd: ArgoCd;
  readonly servers: readonly GpuServer[];
  readonly git: TestGitHost;
  readonly postgres: TestPostgres;
  readonly redis: TestRedis;
  readonly redisPassword: string;
  readonly validator: SimulatedValidator;
  readonly miner: Signer;
  /** 64 hex digits. */
  readonly seed: string;
  readonly hotkeyFile: string;
  readonly ledger: Ledger;
  /** Every process of the fleet that is ours to look at. */
  processes(): Process[];
  server(name: string): GpuServer;
  stop(): Promise<void>;
}

/** Amount of work in a GPU proof: at a fast clock, computing must stay well below the simulated time of one. */
const proofSizes = { n: 64, num: 2 };
const controlNode = 'control-1';
const volumeCount = 12;

function newKey(): Signer & { seed: string } {
  const seed = randomBytes(32).toString('hex');
  return { ...createSigner(Buffer.from(seed, 'hex')), seed };
}

async function addControlNode({ kube }: ControlPlane): Promise<void> {
  const capacity = { cpu: '64', memory: '256Gi', pods: '200', 'ephemeral-storage': '1000Gi' };
  const labels = { 'kubernetes.io/hostname': controlNode, 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' };
  const metadata = { name: controlNode, labels, annotations: playedNode };
  await kube.apply({ apiVersion: 'v1', kind: 'Node', metadata });
  await kube.patch('v1/nodes', controlNode, { status: { capacity, allocatable: capacity } }, undefined, 'status');
}

/** Volumes as k3s has them: a claim is bound when its first pod is scheduled, and not before. */
async function addVolumes({ kube }: ControlPlane): Promise<void> {
  const storageClassName = 'local-path';
  const annotations = { 'storageclass.kubernetes.io/is-default-class': 'true' };
  await kube.apply({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: storageClassName, annotations },
    provisioner: 'kubernetes.io/no-provisioner',
    volumeBindingMode: 'WaitForFirstConsumer',
  });
  for (let i = 0; i < volumeCount; i++) {
    const spec = {
      storageClassName,
      capacity: { storage: '1000Gi' },
      accessModes: ['ReadWriteOnce'],
      hostPath: { path: `/var/lib/none/volume-${i}` },
    };
    await kube.apply({ apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: `volume-${i}` }, spec });
  }
}

/** Resolves when all is up; rejects with what failed, and nothing is left then. */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { dir, tools, servers: count = 2, speed = 120, tell = () => undefined } = options;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const ends: (() => unknown)[] = [];
  async function stop(): Promise<void> {
    for (let end = ends.pop(); end; end = ends.pop()) await end();
  }
  /** Kept for the end, also when another one fails. */
  async function kept<T>(starting: Promise<T>, end: (started: T) => unknown): Promise<T> {
    const started = await starting;
    ends.push(() => end(started));
    return started;
  }
  const random = seededRandom(1);
  const clock = scaledClock(speed, Date.now());
  const [miner, validatorKey] = [newKey(), newKey()];
  const redisPassword = randomBytes(12).toString('hex');
  const hotkeyFile = join(dir, 'hotkey.json');
  writeFileSync(hotkeyFile, JSON.stringify({ ss58Address: miner.address, secretSeed: `0x${miner.seed}` }), {
    mode: 0o600,
  });
  const ledger = createLedger(
    () => Date.now(),
    () => undefined,
  );
  const addressBase = `127.${16 + Math.floor(Math.random() * 200)}.${Math.floor(Math.random() * 200)}`;
  const simulated = makeServers(count, 1, addressBase);

  async function startServer(server: (typeof simulated)[number], validator: SimulatedValidator): Promise<GpuServer> {
    const starting = startControlPlane({ name: server.name, dir: join(dir, server.name), tools });
    const plane = await kept(starting, (started) => started.stop());
    const playing = startGpuServer({
      server,
      plane,
      tools,
      speed,
      ledger,
      random,
      proofSizes,
      rules: { minerHotkey: miner.address, validatorHotkey: validator.hotkey },
      onError: (error) => tell(`${server.name}: ${error instanceof Error ? error.message : error}`),
    });
    const made = await kept(playing, (started) => started.stop());
    tell(`${server.name} is up: ${plane.url}`);
    return made;
  }

  async function startControl(): Promise<{ control: ControlPlane; kwok: Process; argocd: ArgoCd }> {
    const starting = startControlPlane({ name: 'control', dir: join(dir, 'control'), tools });
    const control = await kept(starting, (started) => started.stop());
    await addControlNode(control);
    await addVolumes(control);
    const kwok = await kept(startKwok({ plane: control, tools }), (started) => started.stop());
    const argocd = await kept(startArgoCd({ plane: control, tools }), (started) => started.stop());
    tell(`control cluster and Argo CD are up: ${control.url} ${argocd.url}`);
    return { control, kwok, argocd };
  }

  try {
    const [git, postgres, redis, validator] = await all([
      kept(startGitHost(), (started) => started.stop()),
      kept(startPostgres(), (started) => started.stop()),
      kept(startRedis({ password: redisPassword }), (started) => started.stop()),
      kept(
        startValidator({
          hotkey: { ss58: validatorKey.address, seed: validatorKey.seed },
          clock,
          registeredHotkeys: [miner.address],
          allowPrivateHosts: true,
          graval: { sizes: proofSizes, timing: false },
          random,
        }),
        (started) => started.close(),
      ),
    ] as const);
    tell(`git host, PostgreSQL, Redis and validator are up: ${git.url} ${validator.url}`);
    const [{ control, kwok, argocd }, ...servers] = await all([
      startControl(),
      ...simulated.map((server) => startServer(server, validator)),
    ] as const);
    for (const { server, plane } of servers) await argocd.addCluster(server.name, plane);
    await argocd.addRepository(git.url, git.credential);
    return {
      dir,
      tools,
      control,
      argocd,
      servers,
      git,
      postgres,
      redis,
      redisPassword,
      validator,
      miner,
      seed: miner.seed,
      hotkeyFile,
      ledger,
      processes: () => [
        ...control.processes,
        kwok,
        ...Object.values(argocd.processes).filter((one) => one !== undefined),
        ...servers.flatMap(({ plane }) => plane.processes),
      ],
      server(name) {
        const found = servers.find(({ server }) => server.name === name);
        if (!found) throw new Error(`no server ${name}; there are ${servers.map((one) => one.server.name).join(', ')}`);
        return found;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Like Promise.all, but rejects only when all have ended: what the others started is known by then. */
async function all<T extends readonly Promise<unknown>[]>(
  work: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(work);
  return (await Promise.all(work)) as { -readonly [K in keyof T]: Awaited<T[K]> };
}
