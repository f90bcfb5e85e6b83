// What answers at a member's node ports: for every NodePort Service the ports of the pod it selects, while that pod's container runs.
// UDP ports are not opened.

import { serviceSpec } from './admission.ts';
import { type BackendOf, startBootstrapPod } from './bootstrap.ts';
import { hasLabels, type KubeObject } from './kube.ts';
import type { Kubelet } from './kubelet.ts';
import { type Listener, listenHttp, listenTcp, sendJson, sendText } from './listen.ts';
import type { Member } from './member.ts';

export interface NodePorts {
  /** Open and close ports until they agree with Services and pods; calls made meanwhile are one more round. */
  refresh(): void;
  /** Resolves when all ports are closed and stay so. */
  stop(): Promise<void>;
  start(): void;
}

export interface NodePortsOptions {
  backendOf: BackendOf;
  onError: (error: unknown) => void;
}

interface Wanted {
  /** Changes when the pod behind the port does. */
  key: string;
  pod: KubeObject;
  port: number;
}

interface Open {
  key: string;
  listener: Listener;
}

export function createNodePorts(member: Member, kubelet: Kubelet, options: NodePortsOptions): NodePorts {
  const { server, store } = member;
  const open = new Map<number, Open>();
  let running = false;
  let round: Promise<void> | undefined;
  let again = false;

  function wanted(): Map<number, Wanted> {
    const ports = new Map<number, Wanted>();
    if (!running) return ports;
    const pods = store.list('pods').filter(({ metadata }) => {
      const container = kubelet.record(metadata.name)?.container;
      // Chutes are reachable from their start; the bootstrap only gets traffic when it is ready.
      return container?.state === 'running' && (container.ready || metadata.labels?.app !== 'graval');
    });
    for (const service of store.list('services')) {
      const spec = serviceSpec.parse(service.spec);
      const pod = pods.find((each) => hasLabels(each, spec.selector));
      if (spec.type !== 'NodePort' || !pod) continue;
      for (const { nodePort, port, targetPort, protocol } of spec.ports) {
        if (nodePort === undefined || protocol !== 'TCP') continue;
        const inside = typeof targetPort === 'number' ? targetPort : port;
        ports.set(nodePort, { key: `${pod.metadata.uid}:${inside}`, pod, port: inside });
      }
    }
    return ports;
  }

  function listen(nodePort: number, { pod, port }: Wanted): Promise<Listener> {
    if (pod.metadata.labels?.app === 'graval') {
      const env = kubelet.record(pod.metadata.name)?.env ?? {};
      const backend = options.backendOf(server, member.devices);
      return startBootstrapPod({ host: server.ip, port: nodePort, backend, env });
    }
    if (port !== 8000 && port !== 8001) return listenTcp(server.ip, nodePort);
    return listenHttp(server.ip, nodePort, (request, response) => {
      const alive = kubelet.record(pod.metadata.name)?.container;
      if (request.url === '/_alive' && alive?.state === 'running') {
        return alive.ready
          ? sendText(response, 200, 'text/plain', 'ok')
          : sendJson(response, 503, { detail: 'starting' });
      }
      sendJson(response, 401, { detail: 'Unauthorized' });
    });
  }

  async function reconcile(): Promise<void> {
    const target = wanted();
    for (const [nodePort, { key, listener }] of [...open]) {
      if (target.get(nodePort)?.key === key) continue;
      open.delete(nodePort);
      await listener.close();
    }
    for (const [nodePort, want] of target) {
      if (open.has(nodePort)) continue;
      try {
        open.set(nodePort, { key: want.key, listener: await listen(nodePort, want) });
      } catch (error) {
        options.onError(error);
      }
    }
  }

  async function rounds(): Promise<void> {
    do {
      again = false;
      await reconcile();
    } while (again);
    round = undefined;
  }

  function refresh(): void {
    again = true;
    round ??= rounds();
  }

  return {
    refresh,
    start() {
      running = true;
      refresh();
    },
    async stop() {
      running = false;
      refresh();
      await round;
    },
  };
}
