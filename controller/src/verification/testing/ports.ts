// The ports of adding a node, in memory, with a record of every change; and a real HTTP server that plays agent and GPU bootstrap.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import pino from 'pino';
import { systemClock } from '../../domain/clock.ts';
import type { ServerConfig } from '../../domain/config.ts';
import { MinerError } from '../../domain/errors.ts';
import type { MemberNode, NodeArgs, ProvenGpu, ValidatorClient, VerificationStatus } from '../../domain/ports.ts';
import type { Server } from '../../domain/server.ts';
import type { Verification } from '../../domain/verification.ts';
import { createSigner } from '../../signing/sr25519.ts';
import { createVerifier } from '../../signing/verify.ts';
import type { NodeDeps } from '../deps.ts';

export const miner = createSigner(
  Buffer.from('e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a', 'hex'),
);
export const validatorHotkey = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';
export const startMs = 1735689600_000;

export function gpuId(n: number): string {
  return n.toString(16).padStart(32, '0');
}

export function device(n: number, change: Record<string, unknown> = {}) {
  const base = { uuid: gpuId(n), name: 'NVIDIA H100 80GB HBM3', memory: 85_017_624_576, clock_rate: 1_980_000 };
  return { ...base, processors: 132, max_threads_per_processor: 1024, ...change };
}

export function kubeconfigFor(name: string): string {
  return `apiVersion: v1\nkind: Config\ncontexts:\n- name: ${name}\n  context: {cluster: c, user: u}\nusers:\n- name: u\n  user: {token: secret-token}\n`;
}

/** What the server's own HTTP services answer; `undefined` hangs up. */
export interface NodeServices {
  kubeconfig: [status: number, body: string] | undefined;
  devices: ([status: number, body: string] | undefined)[];
}

/** Agent and bootstrap on one port; both demand the miner's signature, made with real time. */
export async function startNodeServices(services: NodeServices) {
  const { verify } = createVerifier({ miner: miner.address, allowedSigners: [miner.address], clock: systemClock });
  const routes: Record<string, { purpose: string; reply(): [number, string] | undefined }> = {
    '/config/kubeconfig': { purpose: 'registration', reply: () => services.kubeconfig },
    '/devices': {
      purpose: 'graval',
      reply: () => (services.devices.length > 1 ? services.devices.shift() : services.devices[0]),
    },
  };
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    const route = routes[url];
    if (!route) return response.writeHead(404).end();
    const { accepted } = verify({ method, headers, body: Buffer.alloc(0), purpose: route.purpose });
    if (!accepted) return response.writeHead(401).end('{"detail":"no"}');
    const reply = route.reply();
    if (!reply) return request.socket.destroy();
    return response.writeHead(reply[0]).end(reply[1]);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Everything of the world that a test sets, and everything that was done to it. */
export interface Scene {
  clock: NodeDeps['clock'] & { ms: number };
  node: MemberNode;
  nodeProblem: Error | undefined;
  supported: Set<string>;
  validatorProblem: Error | undefined;
  advertise: (nodes: readonly NodeArgs[]) => Promise<{ taskId: string; seed: bigint | undefined }>;
  /** One for each poll; the last stays. */
  verdicts: (VerificationStatus | Error)[];
  /** Fails the port call of that name. */
  failing: Map<string, Error>;
  servers: Map<string, Server>;
  members: Map<string, string>;
  /** As JSON, the way a database keeps it. */
  verifications: Map<string, string>;
  repo: Map<string, ServerConfig>;
  /** Port calls that change something, in order. */
  done: string[];
  nodePort: number;
  /** Members with a bootstrap. */
  bootstraps: Set<string>;
  /** Ids of servers that the validator knows. */
  advertised: Set<string>;
  /** What the validator tells of this server. */
  proven: ProvenGpu[];
  deps: NodeDeps;
}

function validatorOf(scene: Scene, call: (name: string, detail?: string) => void): ValidatorClient {
  const unused = () => Promise.reject(new Error('not part of adding a node'));
  function take(serverId: string): void {
    if (scene.advertised.has(serverId)) throw new MinerError('E-VALIDATOR', 'known', { detail: { status: 409 } });
    scene.advertised.add(serverId);
  }
  return {
    hotkey: validatorHotkey,
    launchConfig: unused,
    deleteInstance: unused,
    deleteJob: unused,
    chute: unused,
    async supportedGpus() {
      if (scene.validatorProblem) throw scene.validatorProblem;
      return scene.supported;
    },
    async advertiseNodes({ serverId }, nodes) {
      call('advertiseNodes', String(nodes.length));
      take(serverId);
      return scene.advertise(nodes);
    },
    async advertiseServer({ serverId }, nodes) {
      call('advertiseServer', String(nodes.length));
      take(serverId);
    },
    async verificationStatus() {
      const verdict = scene.verdicts.length > 1 ? scene.verdicts.shift() : scene.verdicts[0];
      if (!verdict || verdict instanceof Error) throw verdict ?? new Error('nobody may ask');
      return verdict;
    },
    provenGpus: async () => scene.proven,
    async forgetServer(serverId, gpuIds) {
      call('forgetServer', `${serverId} ${gpuIds.length}`);
      scene.advertised.delete(serverId);
    },
  };
}

function whole(text: string): Verification {
  const stored = JSON.parse(text) as Verification;
  return { ...stored, failure: stored.failure };
}

export function createScene(): Scene {
  const done: string[] = [];
  const clock = {
    ms: startMs,
    now: () => clock.ms,
    async sleep(ms: number) {
      clock.ms += ms;
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
  function call(name: string, detail = ''): void {
    if (!/^(save|end)Verification$/.test(name)) done.push(detail === '' ? name : `${name} ${detail}`);
    const problem = scene.failing.get(name);
    if (problem) throw problem;
  }
  const scene: Scene = {
    clock,
    node: {
      uid: 'node-uid',
      name: 'gpu-0',
      ready: true,
      labels: { 'chutes/external-ip': '127.0.0.1', 'nvidia.com/gpu.count': '2', 'nvidia.com/gpu.memory': '81559' },
      cpus: 34,
      memoryGiB: 262,
      gpus: 2,
      diskGb: 1000,
    },
    nodeProblem: undefined,
    supported: new Set(['h100_sxm', 'l4']),
    validatorProblem: undefined,
    advertise: async () => ({ taskId: 'hk::1', seed: 9223372036854775807n }),
    verdicts: [{ status: 'pending' }, { status: 'verified' }],
    failing: new Map(),
    servers: new Map(),
    members: new Map(),
    verifications: new Map(),
    repo: new Map(),
    done,
    nodePort: 0,
    bootstraps: new Set(),
    advertised: new Set(),
    proven: [],
    deps: {
      signer: miner,
      clock,
      log: pino({ level: 'silent' }),
      config: () => ({ images: { gravalBootstrap: 'bootstrap:1' } }),
      validator: (hotkey) => (hotkey === validatorHotkey ? validatorOf(scene, call) : undefined),
      members: {
        async add(name, kubeconfig) {
          call('members.add', name);
          scene.members.set(name, kubeconfig);
        },
        async remove(name) {
          call('members.remove', name);
          scene.members.delete(name);
        },
        async node(member) {
          if (!scene.members.has(member)) throw new MinerError('E-CLUSTER', `no member ${member}`);
          if (scene.nodeProblem) throw scene.nodeProblem;
          return scene.node;
        },
        async labelNode(_member, labels) {
          call('labelNode', Object.keys(labels).join(','));
        },
        observe: () => ({ pods: [], health: new Map() }),
        async startBootstrap(member, request) {
          call('startBootstrap', `${request.nodePort} ${request.gpuCount} ${request.image}`);
          scene.bootstraps.add(member);
          return { nodePort: scene.nodePort };
        },
        async stopBootstrap(member) {
          call('stopBootstrap');
          scene.bootstraps.delete(member);
        },
      },
      store: {
        servers: async () => [...scene.servers.values()],
        async addServer(server) {
          call('addServer', `${server.gpus.length} ${server.gpus.some(({ verified }) => verified)}`);
          scene.servers.set(server.name, server);
        },
        async updateServer(name, change) {
          call('updateServer', Object.keys(change).join(','));
          const server = scene.servers.get(name);
          if (server) scene.servers.set(name, { ...server, ...change, cordoned: change.cordoned ?? undefined });
        },
        async markGpusVerified(gpuIds) {
          call('markGpusVerified', String(gpuIds.length));
          for (const [name, server] of scene.servers) {
            const gpus = server.gpus.map((gpu) => ({ ...gpu, verified: gpu.verified || gpuIds.includes(gpu.gpuId) }));
            scene.servers.set(name, { ...server, gpus });
          }
        },
        async deleteServer(name) {
          call('deleteServer', name);
          scene.servers.delete(name);
        },
        lifecycles: async () => [],
        verifications: async () => [...scene.verifications.values()].map(whole),
        async saveVerification(verification) {
          call('saveVerification', verification.step);
          scene.verifications.set(verification.name, JSON.stringify(verification));
        },
        async endVerification(name) {
          call('endVerification', name);
          scene.verifications.delete(name);
        },
      },
      repo: {
        async writeServer(server) {
          call('writeServer', server.name);
          scene.repo.set(server.name, server);
          return 'commit';
        },
        async removeServer(name) {
          call('removeServer', name);
          scene.repo.delete(name);
          return 'commit';
        },
      },
    },
  };
  return scene;
}
