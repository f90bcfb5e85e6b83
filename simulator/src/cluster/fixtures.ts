// What the tests of the simulated cluster share: a repository to commit to, chute manifests, a clock to turn by hand.

import fs, { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BatchV1Api, CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import type { Clock } from '@miner/controller/domain/clock.ts';
import { gpuEnvId } from '@miner/controller/domain/ids.ts';
import git from 'isomorphic-git';
import type { SimulatedServer } from './servers.ts';

/** Dev keys of protocol.md 1.6. */
export const miner = {
  hotkey: '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY',
  seed: 'e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a',
};
export const validator = {
  hotkey: '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty',
  seed: '398f0c28f98885e046333d4a41c19cee4c37368a9832c6502f6cfd182e2aef89',
};

/** A /24 of loopback per process, so that test files running at once do not meet. */
export function loopbackBase(): string {
  return `127.${20 + (process.pid % 200)}.${(process.pid >> 8) % 250}`;
}

export interface Repository {
  path: string;
  /** Commit the whole tree given, path to text; replaces what `live` held. */
  commit(files: Readonly<Record<string, string>>): Promise<string>;
}

type Folder = Map<string, Folder | string>;

async function writeFolder(gitdir: string, folder: Folder): Promise<string> {
  const tree: { mode: string; path: string; oid: string; type: 'blob' | 'tree' }[] = [];
  for (const [path, entry] of folder) {
    if (typeof entry !== 'string') {
      tree.push({ mode: '040000', path, oid: await writeFolder(gitdir, entry), type: 'tree' });
      continue;
    }
    const oid = await git.writeBlob({ fs, gitdir, blob: new TextEncoder().encode(entry) });
    tree.push({ mode: '100644', path, oid, type: 'blob' });
  }
  return git.writeTree({ fs, gitdir, tree });
}

export async function createRepository(): Promise<Repository> {
  const path = mkdtempSync(join(tmpdir(), 'live-'));
  await git.init({ fs, gitdir: path, bare: true, defaultBranch: 'main' });
  const author = { name: 'test', email: 'test@example.invalid' };
  return {
    path,
    async commit(files) {
      const root: Folder = new Map();
      for (const [name, text] of Object.entries(files)) {
        const parts = name.split('/');
        const leaf = parts.pop() ?? '';
        let folder = root;
        for (const part of parts) {
          const next = folder.get(part) ?? new Map();
          if (typeof next === 'string') throw new Error(`${part} is a file`);
          folder.set(part, next);
          folder = next;
        }
        folder.set(leaf, text);
      }
      const tree = await writeFolder(path, root);
      return git.commit({ fs, gitdir: path, ref: 'refs/heads/live', message: 'test', tree, author });
    },
  };
}

export interface ManifestFields {
  deploymentId: string;
  chuteId: string;
  server: string;
  gpuIds: readonly string[];
  ports: readonly [number, number];
  host: string;
  /** Lines put in place of the launch token's Secret reference. */
  tokenEnv?: string;
  extra?: string;
  command?: readonly string[];
}

/** Service and Job of one deployment, as multi-document YAML (kubernetes.md 3.1, 3.2). */
export function chuteManifest(fields: ManifestFields): string {
  const { deploymentId: id, chuteId, server, gpuIds, ports, host } = fields;
  const labels = `chutes/deployment-id: ${id}, chutes/chute: "true", chutes/chute-id: ${chuteId}, chutes/version: v1`;
  const command = fields.command ?? [
    ...['chutes', 'run', 'app:chute', '--port', '8000'],
    ...['--miner-ss58', miner.hotkey, '--validator-ss58', validator.hotkey],
  ];
  const token =
    fields.tokenEnv ?? `{valueFrom: {secretKeyRef: {name: launch-${id}, key: token}}, name: CHUTES_LAUNCH_JWT}`;
  return `apiVersion: batch/v1
kind: Job
metadata: {name: chute-${id}, namespace: chutes, labels: {${labels}}}
spec:
  parallelism: 1
  completions: 1
  backoffLimit: 0
  template:
    metadata: {labels: {${labels}}}
    spec:
      nodeName: ${server}
      restartPolicy: Never
      terminationGracePeriodSeconds: 180
      containers:
        - name: chute
          image: ${validator.hotkey.toLowerCase()}.localregistry.chutes.ai:30500/user/app:1
          command: ${JSON.stringify(command)}
          env:
            - ${token}
            - {name: CHUTES_EXTERNAL_HOST, value: ${host}}
            - {name: CHUTES_PORT_PRIMARY, value: "${ports[0]}"}
            - {name: CHUTES_PORT_LOGGING, value: "${ports[1]}"}
            - {name: CHUTES_NVIDIA_DEVICES, value: "${gpuIds.map(gpuEnvId).join(',')}"}
          resources: {requests: {cpu: "4", memory: 24Gi, ephemeral-storage: 10Gi}}
---
apiVersion: v1
kind: Service
metadata: {name: chute-service-${id}, namespace: chutes, labels: {${labels}}}
spec:
  type: NodePort
  externalTrafficPolicy: Local
  selector: {chutes/deployment-id: ${id}}
  ports:
    - {name: chute-8000, port: 8000, targetPort: 8000, protocol: TCP, nodePort: ${ports[0]}}
    - {name: chute-8001, port: 8001, targetPort: 8001, protocol: TCP, nodePort: ${ports[1]}}
${fields.extra ?? ''}`;
}

/** Create Service and Job of the GPU verification (kubernetes.md 3.5); the node port that was given to the Service. */
export async function createBootstrap(kubeconfig: string, server: SimulatedServer): Promise<number> {
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  const namespace = 'chutes';
  const labels = { app: 'graval', 'graval-node': server.name };
  const service = await config.makeApiClient(CoreV1Api).createNamespacedService({
    namespace,
    body: {
      metadata: { name: `graval-svc-${server.name}`, labels },
      spec: { type: 'NodePort', selector: labels, ports: [{ port: 8000, targetPort: 8000 }] },
    },
  });
  const env = { VALIDATOR_WHITELIST: validator.hotkey, MINER_HOTKEY_SS58: miner.hotkey };
  const container = {
    name: 'graval',
    image: 'chutes-miner/graval-bootstrap:0.1.0',
    env: Object.entries(env).map(([name, value]) => ({ name, value })),
    resources: { limits: { 'nvidia.com/gpu': String(server.gpuCount) } },
  };
  await config.makeApiClient(BatchV1Api).createNamespacedJob({
    namespace,
    body: {
      metadata: { name: `graval-${server.name}`, labels },
      spec: {
        backoffLimit: 3,
        template: { metadata: { labels }, spec: { restartPolicy: 'OnFailure', containers: [container] } },
      },
    },
  });
  return service.spec?.ports?.[0]?.nodePort ?? 0;
}

export interface ManualClock extends Clock {
  /** Let time pass, step by step from one sleeper to the next. */
  advance(seconds: number): Promise<void>;
}

/** Time that stands still until `advance`. */
export function manualClock(start = 1_735_689_600_000): ManualClock {
  let now = start;
  const sleepers = new Set<{ at: number; wake: () => void }>();
  const breathe = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    now: () => now,
    sleep(ms, signal) {
      return new Promise((resolve) => {
        const sleeper = { at: now + ms, wake: resolve };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', () => {
          sleepers.delete(sleeper);
          resolve();
        });
      });
    },
    async advance(seconds) {
      const end = now + seconds * 1000;
      for (;;) {
        await breathe();
        const next = [...sleepers].sort((a, b) => a.at - b.at)[0];
        if (!next || next.at > end) break;
        sleepers.delete(next);
        now = Math.max(now, next.at);
        next.wake();
      }
      now = end;
      await breathe();
    },
  };
}

/** Wait in real time until `check` holds. Rejects after `ms`. */
export async function until(what: string, check: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}
