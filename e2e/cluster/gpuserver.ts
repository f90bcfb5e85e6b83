// A GPU server whose Kubernetes API is real and whose machine is played: a KWOK node, and for pods of chutes and of the GPU verification the
// simulator's kubelet, which claims, proves and activates as the real ones do, and answers at their node ports.

import type { Clock } from '@miner/controller/domain/clock.ts';
import { pacedRefc1 } from '@miner/simulator/cluster/bootstrap.ts';
import { inspectPod, type Rules } from '@miner/simulator/cluster/honesty.ts';
import { createKubelet } from '@miner/simulator/cluster/kubelet.ts';
import { defaultModelSize, type ModelSize } from '@miner/simulator/cluster/launch-times.ts';
import { createMember, type Member } from '@miner/simulator/cluster/member.ts';
import { createNodePorts } from '@miner/simulator/cluster/nodeports.ts';
import type { Ledger } from '@miner/simulator/cluster/record.ts';
import type { SimulatedServer } from '@miner/simulator/cluster/servers.ts';
import type { ProofSizes } from '@miner/simulator/refc1.ts';
import type { ControlPlane } from './controlplane.ts';
import { playedNode, startKwok } from './kwok.ts';
import { mirrorOf } from './mirror.ts';
import type { Tools } from './tools.ts';

export interface GpuServerOptions {
  server: SimulatedServer;
  plane: ControlPlane;
  tools: Tools;
  /** How many times faster than in the world a launch goes. */
  speed: number;
  rules: Rules;
  ledger: Ledger;
  random: () => number;
  proofSizes: ProofSizes;
  sizeOf?: (chuteId: string) => ModelSize | undefined;
  onError: (error: unknown) => void;
}

export interface GpuServer {
  readonly server: SimulatedServer;
  readonly plane: ControlPlane;
  /** What the container of a pod printed. */
  logOf(pod: string): readonly string[];
  /** The machine loses power: containers end, neither node ports nor the API answer any more. */
  powerOff(): Promise<void>;
  /** It comes back with its data. */
  powerOn(): Promise<void>;
  /** Ends what is played; the control plane is the caller's. */
  stop(): Promise<void>;
}

/** Waiting is shortened, the time of day is not: what is written into objects is seen by programs on the clock of the machine. */
function hurried(speed: number): Clock {
  return {
    now: () => Date.now(),
    sleep(ms, signal) {
      if (signal?.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const end = () => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', end);
          resolve();
        };
        const timer = setTimeout(end, ms / speed);
        signal?.addEventListener('abort', end, { once: true });
      });
    },
  };
}

/** Labels of pods that are not KWOK's to play. */
const ours = ['chutes/chute', 'node-bootstrap'] as const;

/** What GPU operator and device plugin do on a real server: node with its GPUs, and the runtime class. */
async function addNode({ kube }: ControlPlane, { server, store }: Member): Promise<void> {
  const node = store.get('nodes', server.name);
  if (!node) throw new Error(`${server.name} has no node`);
  const { labels } = node.metadata;
  const { capacity, allocatable, addresses } = node.status as Record<string, unknown>;
  const runtime = {
    apiVersion: 'node.k8s.io/v1',
    kind: 'RuntimeClass',
    metadata: { name: 'nvidia' },
    handler: 'nvidia',
  };
  const metadata = { name: server.name, labels, annotations: playedNode };
  await kube.apply(runtime, { apiVersion: 'v1', kind: 'Node', metadata });
  await kube.patch('v1/nodes', server.name, { status: { capacity, allocatable, addresses } }, undefined, 'status');
}

/** Resolves when the node is there. */
export async function startGpuServer(options: GpuServerOptions): Promise<GpuServer> {
  const { server, plane, tools, ledger, onError, rules } = options;
  const clock = hurried(options.speed);
  const played = createMember(server, {
    clock,
    random: options.random,
    proofSizes: options.proofSizes,
    onPortConflict: () => undefined,
  });
  await addNode(plane, played);
  const kwok = await startKwok({ plane, tools, leaves: ours });
  const mirror = mirrorOf({ kube: plane.kube, store: played.store, node: server.name, labels: ours, onError });
  const member: Member = { ...played, store: mirror.store, setStatus: mirror.setStatus };
  const kubelet = createKubelet(member, {
    clock,
    random: options.random,
    ledger,
    sizeOf: (chuteId) => options.sizeOf?.(chuteId) ?? defaultModelSize(chuteId),
    inspect: (pod) => inspectPod(pod, member, rules, ledger),
    onContainer: () => ports.refresh(),
    onChange: () => undefined,
    onError,
  });
  const ports = createNodePorts(member, kubelet, { backendOf: pacedRefc1(member.proofSizes, clock), onError });
  played.store.onChange((change) => {
    if (!member.up) return;
    const deploymentId = change.object.metadata.labels?.['chutes/deployment-id'];
    if (change.resource === 'pods' && change.type === 'ADDED' && deploymentId !== undefined)
      ledger.mark(deploymentId, server.name, 'podCreatedAt');
    kubelet.handle(change);
    if (change.resource === 'services') ports.refresh();
  });
  ports.start();
  mirror.start();

  return {
    server,
    plane,
    logOf: (pod) => kubelet.record(pod)?.log ?? [],
    async powerOff() {
      member.up = false;
      kubelet.stop();
      await Promise.all([ports.stop(), kwok.kill(), plane.kill()]);
    },
    async powerOn() {
      // Before the API answers again, so that no pod comes unseen.
      member.up = true;
      kubelet.start(true);
      ports.start();
      await plane.start();
      kwok.start();
    },
    async stop() {
      member.up = false;
      mirror.stop();
      kubelet.stop();
      await Promise.all([ports.stop(), kwok.stop()]);
    },
  };
}
