// A real Kubernetes node on a machine: containerd with runc and CNI, kubelet and kube-proxy, joined to a control plane on the same machine.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ControlPlane, startControlPlane } from '../cluster/controlplane.ts';
import { kubeconfigText } from '../cluster/pki.ts';
import { type Process, startProcess, waitFor } from '../cluster/process.ts';
import type { Tools } from '../cluster/tools.ts';
import { address, cgroup, type Machine } from './machine.ts';

export interface NodeOptions {
  name: string;
  machine: Machine;
  tools: Tools;
  /** Image reference of what holds the namespaces of a pod. */
  pauseImage: string;
  /** `host:port` of registries that speak HTTP, by the URL they are reached at. */
  plainRegistries: Readonly<Record<string, string>>;
  podNetwork: string;
}

export interface RealNode {
  readonly name: string;
  readonly plane: ControlPlane;
  readonly containerd: Process;
  readonly kubelet: Process;
  readonly kubeProxy: Process;
}

const runtime = { runtime_type: 'io.containerd.runc.v2' };

/** Sections of a TOML file, from nested objects. */
function toml(value: object, path = ''): string {
  const entries = Object.entries(value);
  const isTable = (one: unknown) => typeof one === 'object' && !Array.isArray(one);
  const own = entries.filter(([, one]) => !isTable(one)).map(([key, one]) => `${key} = ${JSON.stringify(one)}\n`);
  const below = entries
    .filter(([, one]) => isTable(one))
    .map(([key, one]) => toml(one, `${path}${path && '.'}${JSON.stringify(key)}`));
  return `${path && own.length > 0 ? `[${path}]\n` : ''}${own.join('')}${below.join('')}`;
}

function containerdConfig(dir: string, pauseImage: string): string {
  return toml({
    version: 2,
    root: join(dir, 'root'),
    state: join(dir, 'state'),
    disabled_plugins: ['btrfs', 'devmapper', 'zfs', 'aufs', 'opt'].map((one) => `io.containerd.snapshotter.v1.${one}`),
    grpc: { address: join(dir, 'containerd.sock') },
    plugins: {
      'io.containerd.grpc.v1.cri': {
        sandbox_image: pauseImage,
        // Lowering a score below the current one takes a capability that a machine in a container may not have.
        restrict_oom_score_adj: true,
        cni: { bin_dir: '/usr/lib/cni', conf_dir: join(dir, 'cni') },
        containerd: {
          default_runtime_name: 'runc',
          snapshotter: 'overlayfs',
          runtimes: { runc: runtime, nvidia: runtime },
        },
        registry: { config_path: join(dir, 'certs.d') },
      },
    },
  });
}

function writeNetwork(dir: string, subnet: string): void {
  const ptp = {
    type: 'ptp',
    ipMasq: true,
    ipam: { type: 'host-local', ranges: [[{ subnet }]], routes: [{ dst: '0.0.0.0/0' }] },
  };
  const portmap = { type: 'portmap', capabilities: { portMappings: true } };
  mkdirSync(join(dir, 'cni'));
  const list = { cniVersion: '0.4.0', name: 'pods', plugins: [ptp, portmap] };
  writeFileSync(join(dir, 'cni/10-pods.conflist'), JSON.stringify(list));
}

function writeRegistries(dir: string, registries: Readonly<Record<string, string>>): void {
  for (const [host, url] of Object.entries(registries)) {
    const folder = join(dir, 'certs.d', host);
    mkdirSync(folder, { recursive: true });
    const text = toml({ server: url, host: { [url]: { capabilities: ['pull', 'resolve'] } } });
    writeFileSync(join(folder, 'hosts.toml'), text);
  }
}

/** Resolves when the node is ready. Everything ends with the machine. */
export async function startNode({ machine, tools, ...options }: NodeOptions): Promise<RealNode> {
  const { name, podNetwork } = options;
  const { dir } = machine;
  const plane = await startControlPlane({
    name,
    dir: join(dir, 'plane'),
    tools,
    address,
    forRealNodes: true,
    ports: { api: 6443 },
    prefix: machine.inside,
  });
  const { pki, url, kube } = plane;
  writeFileSync(join(dir, 'containerd.toml'), containerdConfig(dir, options.pauseImage));
  writeNetwork(dir, podNetwork);
  writeRegistries(dir, options.plainRegistries);
  const accessAs = (file: string, user: string, groups: readonly string[]): string => {
    const text = kubeconfigText(name, { url, caFile: pki.caFile, certificate: pki.client(user, groups) });
    writeFileSync(join(dir, file), text, { mode: 0o600 });
    return join(dir, file);
  };
  const serving = pki.server('kubelet', [address, name]);
  const kubelet = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: pki.caFile } },
    authorization: { mode: 'Webhook' },
    tlsCertFile: serving.certFile,
    tlsPrivateKeyFile: serving.keyFile,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${cgroup}`,
    cgroupsPerQOS: true,
    enforceNodeAllocatable: [],
    failCgroupV1: false,
    failSwapOn: false,
    containerRuntimeEndpoint: `unix://${join(dir, 'containerd.sock')}`,
    podLogsDir: join(dir, 'pods'),
    clusterDNS: ['10.43.0.10'],
    clusterDomain: 'cluster.local',
    evictionHard: { 'nodefs.available': '0%', 'imagefs.available': '0%' },
    // Status and what follows from it is waited for.
    nodeStatusUpdateFrequency: '2s',
  };
  writeFileSync(join(dir, 'kubelet.json'), JSON.stringify(kubelet));
  const proxy = {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    // The other mode serves no node ports on 127.0.0.1, where images are pulled from.
    mode: 'iptables',
    hostnameOverride: name,
    clusterCIDR: podNetwork,
    clientConnection: { kubeconfig: accessAs('proxy.kubeconfig', 'system:kube-proxy', []) },
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    iptables: { localhostNodePorts: true, minSyncPeriod: '100ms' },
  };
  writeFileSync(join(dir, 'kube-proxy.json'), JSON.stringify(proxy));
  const start = (program: string, command: string, args: readonly string[]): Process =>
    startProcess({
      name: `${name}/${program}`,
      command,
      args,
      cwd: dir,
      logFile: join(dir, `${program}.log`),
      prefix: machine.inside,
    });
  const containerd = start('containerd', '/usr/bin/containerd', ['--config', join(dir, 'containerd.toml')]);
  const socket = join(dir, 'containerd.sock');
  const answers = async () => (await machine.run('ctr', ['--address', socket, 'version'])) !== '';
  await waitFor('containerd answers', answers, { of: containerd });
  const running = start('kubelet', join(tools.bin, 'kubelet'), [
    `--config=${join(dir, 'kubelet.json')}`,
    `--kubeconfig=${accessAs('kubelet.kubeconfig', `system:node:${name}`, ['system:nodes'])}`,
    `--root-dir=${join(dir, 'kubelet')}`,
    `--hostname-override=${name}`,
    `--node-ip=${address}`,
  ]);
  const kubeProxy = start('kube-proxy', join(tools.bin, 'kube-proxy'), [`--config=${join(dir, 'kube-proxy.json')}`]);
  const isReady = async () => {
    const node = (await kube.get('v1/nodes', name)) as { status?: { conditions?: { type: string; status: string }[] } };
    return node?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
  };
  await waitFor(`node ${name} is ready`, isReady, { timeoutMs: 120_000, everyMs: 250, of: running });
  return { name, plane, containerd, kubelet: running, kubeProxy };
}
