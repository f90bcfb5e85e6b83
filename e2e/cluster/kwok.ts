// Nodes that are played by KWOK: they are ready and beat, and every pod that nobody else plays is ready at once.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { freePort } from '../../controller/test/supervised.ts';
import type { ControlPlane } from './controlplane.ts';
import { type Process, startProcess } from './process.ts';
import type { Tools } from './tools.ts';

export interface KwokOptions {
  plane: ControlPlane;
  tools: Tools;
  /** Labels (each must be absent) of the pods that KWOK leaves alone. Default: none. */
  leaves?: readonly string[];
  /** Pods of Jobs run until they are deleted. Default: they end at once. */
  jobsRun?: boolean;
}

/** A node with this annotation is played. */
export const playedNode = { 'kwok.x-k8s.io/node': 'fake' } as const;

interface Stage {
  metadata: { name: string };
  spec: { selector: { matchExpressions: { key: string; operator: string }[] } };
}

function stages({ tools: { share }, leaves = [], jobsRun = false }: KwokOptions): string[] {
  const read = (folder: string) =>
    readdirSync(join(share, 'kwok', folder))
      .filter((name) => name !== 'kustomization.yaml')
      .map((name) => parseDocument(readFileSync(join(share, 'kwok', folder, name), 'utf8')).toJS() as Stage);
  const wanted = read('pod').filter(({ metadata }) => !(jobsRun && metadata.name === 'pod-complete'));
  const ofPods = wanted.map((stage) => {
    for (const label of leaves) {
      const key = `.metadata.labels[${JSON.stringify(label)}]`;
      stage.spec.selector.matchExpressions.push({ key, operator: 'DoesNotExist' });
    }
    return stage;
  });
  return [...read('node'), ...read('heartbeat'), ...ofPods].map((stage) => JSON.stringify(stage));
}

export async function startKwok(options: KwokOptions): Promise<Process> {
  const { plane, tools } = options;
  const folder = join(plane.dir, 'kwok');
  mkdirSync(folder, { recursive: true });
  const config = join(folder, 'stages.yaml');
  writeFileSync(config, stages(options).join('\n---\n'));
  return startProcess({
    name: `${plane.name}/kwok`,
    command: join(tools.bin, 'kwok'),
    args: [
      `--kubeconfig=${plane.adminKubeconfig}`,
      `--config=${config}`,
      '--manage-all-nodes=false',
      '--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake',
      '--node-lease-duration-seconds=40',
      `--server-address=127.0.0.1:${await freePort()}`,
    ],
    cwd: folder,
    // Its client asks for more than an API server on etcd 3.4 can do, again and again.
    env: { KUBE_FEATURE_WatchListClient: 'false' },
    logFile: join(plane.dir, 'kwok.log'),
  });
}
