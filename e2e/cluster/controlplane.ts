// One Kubernetes control plane: etcd, API server, controller manager and scheduler, on ports and with certificates of its own. What it has
// for nodes is up to others.

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../controller/test/supervised.ts';
import { type Kube, openKube } from './kube.ts';
import { createPki, kubeconfigText, type Pki } from './pki.ts';
import { type Process, startProcess, waitFor } from './process.ts';
import type { Tools } from './tools.ts';

export interface ControlPlaneOptions {
  name: string;
  /** State, certificates and logs; what is there already is used again. */
  dir: string;
  tools: Tools;
  /** Where the API server is found. Default: 127.0.0.1. */
  address?: string;
  /** Default: free ones. `etcd` and `peer` are etcd's, the last two those of controller manager and scheduler. */
  ports?: Partial<ControlPlanePorts>;
  /** Default: 10.43.0.0/16. */
  serviceRange?: string;
  /**
   * The Service `kubernetes` gets the address, and the API server talks to kubelets with its own certificate. Default: no, as no real pod
   * asks for it.
   */
  forRealNodes?: boolean;
  /** Put before each command, for example `nsenter --net=…`. Default: nothing. */
  prefix?: readonly string[];
}

export interface ControlPlanePorts {
  api: number;
  etcd: number;
  peer: number;
  manager: number;
  scheduler: number;
}

export interface ControlPlane {
  readonly name: string;
  readonly dir: string;
  readonly url: string;
  readonly pki: Pki;
  readonly ports: ControlPlanePorts;
  /** As administrator. */
  readonly kube: Kube;
  /** A file, readable by its owner only. */
  readonly adminKubeconfig: string;
  /** In the order of their start. */
  readonly processes: readonly Process[];
  /** Kubeconfig text for a client certificate of this user. */
  userKubeconfig(user: string, groups?: readonly string[], context?: string): string;
  /** Kubeconfig text with a token of the account, by TokenRequest. Rejects while there is no such account. */
  accountKubeconfig(namespace: string, account: string): Promise<string>;
  /** All at once as if the machine lost power; `start` brings it back with its data. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Ends everything; the data stay. */
  stop(): Promise<void>;
}

const startTimeoutMs = 120_000;

async function portsOf(given: Partial<ControlPlanePorts> = {}): Promise<ControlPlanePorts> {
  const pick = async (port: number | undefined) => port ?? (await freePort());
  return {
    api: await pick(given.api),
    etcd: await pick(given.etcd),
    peer: await pick(given.peer),
    manager: await pick(given.manager),
    scheduler: await pick(given.scheduler),
  };
}

function etcdProgram(): string {
  try {
    return execFileSync('sh', ['-c', 'command -v etcd'], { encoding: 'utf8' }).trim();
  } catch {
    throw new Error('there is no program etcd; install it: apt-get install etcd-server');
  }
}

function firstAddress(range: string): string {
  return `${range.split('/')[0]?.split('.').slice(0, 3).join('.')}.1`;
}

/** Resolves when the API server is ready. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { name, dir, tools, address = '127.0.0.1', serviceRange = '10.43.0.0/16', forRealNodes = false } = options;
  const { prefix = [] } = options;
  mkdirSync(dir, { recursive: true });
  const ports = await portsOf(options.ports);
  const pki = createPki(join(dir, 'pki'), name);
  const url = `https://${address}:${ports.api}`;
  const names = ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc', '127.0.0.1', address];
  const serving = pki.server('apiserver', [...new Set([...names, firstAddress(serviceRange)])]);
  const admin = pki.client('admin', ['system:masters']);
  const adminKubeconfig = join(dir, 'admin.kubeconfig');
  const certified = { url, caFile: pki.caFile };
  writeFileSync(adminKubeconfig, kubeconfigText(name, { ...certified, certificate: admin }), { mode: 0o600 });

  const run = (program: string, command: string, args: readonly string[]): Process =>
    startProcess({ name: `${name}/${program}`, command, args, cwd: dir, logFile: join(dir, `${program}.log`), prefix });
  const tool = (program: string) => join(tools.bin, program);
  const etcdUrl = `http://127.0.0.1:${ports.etcd}`;
  const peerUrl = `http://127.0.0.1:${ports.peer}`;

  const etcd = () =>
    run('etcd', etcdProgram(), [
      `--data-dir=${join(dir, 'etcd')}`,
      `--name=${name}`,
      `--listen-client-urls=${etcdUrl}`,
      `--advertise-client-urls=${etcdUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=${name}=${peerUrl}`,
      '--logger=zap',
      // Data of a test may be lost with the machine.
      '--unsafe-no-fsync',
    ]);

  function nodeArguments(): string[] {
    if (!forRealNodes) return ['--endpoint-reconciler-type=none'];
    const kubelet = pki.client('apiserver-kubelet', ['system:masters']);
    return [
      '--kubelet-preferred-address-types=InternalIP',
      `--kubelet-certificate-authority=${pki.caFile}`,
      `--kubelet-client-certificate=${kubelet.certFile}`,
      `--kubelet-client-key=${kubelet.keyFile}`,
    ];
  }

  const apiserver = () =>
    run('kube-apiserver', tool('kube-apiserver'), [
      `--etcd-servers=${etcdUrl}`,
      `--bind-address=${forRealNodes ? '0.0.0.0' : address}`,
      `--advertise-address=${address}`,
      `--secure-port=${ports.api}`,
      `--tls-cert-file=${serving.certFile}`,
      `--tls-private-key-file=${serving.keyFile}`,
      `--client-ca-file=${pki.caFile}`,
      '--authorization-mode=Node,RBAC',
      '--allow-privileged=true',
      `--service-cluster-ip-range=${serviceRange}`,
      '--service-node-port-range=30000-32767',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${pki.tokenPublicFile}`,
      `--service-account-signing-key-file=${pki.tokenKeyFile}`,
      ...nodeArguments(),
    ]);

  const manager = () =>
    run('kube-controller-manager', tool('kube-controller-manager'), [
      `--kubeconfig=${adminKubeconfig}`,
      `--secure-port=${ports.manager}`,
      '--bind-address=127.0.0.1',
      `--service-account-private-key-file=${pki.tokenKeyFile}`,
      `--root-ca-file=${pki.caFile}`,
      '--leader-elect=false',
      // A machine that has too much to do is no dead node.
      '--node-monitor-grace-period=180s',
      '--use-service-account-credentials=false',
      '--kube-api-qps=200',
      '--kube-api-burst=400',
    ]);

  const scheduler = () =>
    run('kube-scheduler', tool('kube-scheduler'), [
      `--kubeconfig=${adminKubeconfig}`,
      `--secure-port=${ports.scheduler}`,
      '--bind-address=127.0.0.1',
      '--leader-elect=false',
      '--kube-api-qps=200',
      '--kube-api-burst=400',
    ]);

  const kube = openKube(adminKubeconfig);
  const processes: Process[] = [];

  async function start(): Promise<void> {
    if (processes.length > 0) {
      for (const one of processes.slice(0, 2)) one.start();
      await ready();
      for (const one of processes.slice(2)) one.start();
      return;
    }
    processes.push(etcd(), apiserver());
    await ready();
    processes.push(manager(), scheduler());
  }

  async function ready(): Promise<void> {
    const of = processes[1];
    await waitFor(`${name} is ready`, async () => (await kube.raw('/readyz')) === 'ok', {
      timeoutMs: startTimeoutMs,
      of,
    });
  }

  await start();
  return {
    name,
    dir,
    url,
    pki,
    ports,
    kube,
    adminKubeconfig,
    processes,
    userKubeconfig: (user, groups, context = name) =>
      kubeconfigText(context, { ...certified, certificate: pki.client(user, groups) }),
    async accountKubeconfig(namespace, account) {
      const token = await kube.accountToken(namespace, account);
      return kubeconfigText(name, { ...certified, token });
    },
    async kill() {
      await Promise.all(processes.map((one) => one.kill()));
    },
    start,
    async stop() {
      kube.close();
      // Only etcd has something to write down.
      for (const one of [...processes].reverse()) await (one === processes[0] ? one.stop() : one.kill());
    },
  };
}
