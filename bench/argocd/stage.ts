// A real Argo CD with the settings and Applications that our charts render, over API servers that the GPU servers share, and the git writer
// and the hints of the miner. Nothing is left when the process ends, however it ends.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { serverConfigOf } from '@miner/controller/clusterrepo/testing/testrepo.ts';
import { openApplications } from '@miner/controller/kubernetes/applications.ts';
import { type ArgoCd, startArgoCd } from '@miner/e2e/cluster/argocd.ts';
import { type ControlPlane, startControlPlane } from '@miner/e2e/cluster/controlplane.ts';
import { type KubeObject, readObjects } from '@miner/e2e/cluster/kube.ts';
import type { Process } from '@miner/e2e/cluster/process.ts';
import { waitFor } from '@miner/e2e/cluster/process.ts';
import { ensureTools } from '@miner/e2e/cluster/tools.ts';
import { argocdChart } from '@miner/manifests/charts/argocd.ts';
import { applicationOf } from '@miner/manifests/constructs/application-names.ts';
import { renderChart } from '@miner/manifests/render.ts';
import { openEnds, tell } from '../ends.ts';
import { type Arrivals, playServers, watchArrivals } from './members.ts';
import { type BenchRepository, openRepository, serversPerPlane } from './repository.ts';
import type { Pids } from './usage.ts';

export interface StageOptions {
  /** GPU servers, each with one Application of chutes. */
  servers: number;
  /** API servers that they share, at least. Default: 2. */
  planes?: number;
  /** Written over those of our charts: keys of argocd-cm and, with `controller.` or `reposerver.`, of argocd-cmd-params-cm. */
  settings?: Readonly<Record<string, string>>;
  /** Written over fields of each Application's spec. */
  application?: Readonly<Record<string, unknown>>;
  /** Environment of the application controller and the repo server. */
  env?: Readonly<Record<string, string>>;
}

export interface Stage {
  dir: string;
  control: ControlPlane;
  planes: readonly ControlPlane[];
  argocd: ArgoCd;
  repository: BenchRepository;
  arrivals: Arrivals;
  /** Resolves when every Application is as git has it. */
  synced(): Promise<void>;
  /** What is shared, in words. */
  shared: string;
  pids(): Pids;
  stop(): Promise<void>;
}

const paceKey = /^(controller|reposerver)\./;

function withSettings(object: KubeObject, settings: Readonly<Record<string, string>>): KubeObject {
  const isPace = object.metadata.name === 'argocd-cmd-params-cm';
  if (!isPace && object.metadata.name !== 'argocd-cm') return object;
  const own = Object.entries(settings).filter(([key]) => paceKey.test(key) === isPace);
  return { ...object, data: { ...(object.data as Record<string, string>), ...Object.fromEntries(own) } };
}

/** GPU servers are known to Argo CD by the name of the API server that they share. */
function moved(text: string, nameOf: (server: string) => string): string {
  return text.replaceAll(
    /^(\s+(?:- )?name: )(gpu-\d{4})$/gm,
    (_, before: string, server: string) => before + nameOf(server),
  );
}

export async function openStage(options: StageOptions): Promise<Stage> {
  const { servers, settings = {}, application = {}, env = {} } = options;
  const ends = openEnds('bench-argocd-');
  const { dir, stop } = ends;
  const others: Process[] = [];

  async function plane(name: string): Promise<ControlPlane> {
    const started = await startControlPlane({ name, dir: join(dir, name), tools });
    ends.add(() => started.stop());
    return started;
  }

  const tools = await ensureTools();
  try {
    const count = Math.max(options.planes ?? 2, Math.ceil(servers / serversPerPlane));
    tell(`starting a control cluster and ${count} API servers for ${servers} GPU servers`);
    const [control, ...planes] = await Promise.all([
      plane('control'),
      ...Array.from({ length: count }, (_, i) => plane(`member-${i + 1}`)),
    ]);
    if (!control) throw new Error('no control cluster');
    let hint = (_folders: readonly string[], _commit: string): void => undefined;
    const repository = await openRepository(servers, count, (folders, commit) => hint(folders, commit));
    ends.add(() => repository.close());
    const nameOf = (server: string) => planes[repository.planeOf(server)]?.name ?? '';
    for (const [i, one] of planes.entries()) {
      const names = repository.names.filter((name) => repository.planeOf(name) === i);
      const kwok = await playServers(one, tools, names);
      others.push(kwok);
      ends.add(() => kwok.stop());
    }
    const profiler = join(dir, 'profiler.enabled');
    writeFileSync(profiler, 'true');
    mkdirSync(join(dir, 'control'), { recursive: true });
    const partEnv = { ARGOCD_ENABLE_PROFILER_FILE_PATH: profiler, ...env };
    const argocd = await startArgoCd({
      plane: control,
      tools,
      server: false,
      env: { 'application-controller': partEnv, 'repo-server': partEnv },
    });
    ends.add(() => argocd.stop());
    for (const one of planes) await argocd.addCluster(one.name, one);
    await argocd.addRepository(repository.host.url, repository.host.credential);
    const context = {
      config: repository.config,
      servers: repository.names.map((name, i) => ({ ...serverConfigOf(i + 1), name })),
    };
    const files = renderChart(argocdChart, context, ['settings', 'projects', 'chutes']);
    const objects = files.flatMap(([, text]) => readObjects(moved(text, nameOf)));
    const isApplication = ({ kind }: KubeObject) => kind === 'Application';
    await control.kube.apply(...objects.filter((one) => !isApplication(one)).map((one) => withSettings(one, settings)));
    await argocd.restart();
    await control.kube.apply(
      ...objects.filter(isApplication).map((one) => ({ ...one, spec: { ...(one.spec as object), ...application } })),
    );
    const kubeconfig = new KubeConfig();
    kubeconfig.loadFromFile(control.adminKubeconfig);
    const applications = openApplications({
      config: kubeconfig,
      namespace: argocd.namespace,
      log: { warn: (text: unknown) => tell(String(text)) },
    });
    hint = (folders, commit) =>
      applications.refresh(
        folders.flatMap((folder) => applicationOf(folder) ?? []),
        commit,
      );
    const allSynced = async () => {
      const all = await control.kube.list('argoproj.io/v1alpha1/applications', argocd.namespace);
      return all.every(({ status }) => (status as { sync?: { status?: string } })?.sync?.status === 'Synced');
    };
    async function synced(): Promise<void> {
      await waitFor('all Applications are synced', allSynced, {
        timeoutMs: Math.max(180_000, servers * 2_000),
        everyMs: 1_000,
      });
    }
    tell(`Argo CD is up; waiting for ${servers} empty Applications`);
    await synced();
    const arrivals = watchArrivals(planes);
    ends.add(() => arrivals.stop());
    return {
      dir,
      control,
      planes,
      argocd,
      repository,
      arrivals,
      synced,
      shared: `${servers} Applications on ${count} API servers`,
      pids: () =>
        new Map([
          ...[...control.processes, ...planes.flatMap(({ processes }) => processes), ...others].map(
            (one) => [one.name, one.pid()] as const,
          ),
          ...Object.values(argocd.processes).flatMap((one) => (one ? [[one.name, one.pid()] as const] : [])),
          ['bench', process.pid] as const,
        ]),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
