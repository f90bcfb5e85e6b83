// Argo CD beside a control plane: Redis, repo server, application controller and API server as processes, with the CRDs and settings of its
// own install manifest, and over them whatever our rendered folder `argocd/` says.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../controller/test/supervised.ts';
import { argocdEnvironment, type Part } from './argocd-env.ts';
import type { ControlPlane } from './controlplane.ts';
import { type KubeObject, readObjects } from './kube.ts';
import { type Process, startProcess, waitFor } from './process.ts';
import type { Tools } from './tools.ts';

export interface ArgoCdOptions {
  plane: ControlPlane;
  tools: Tools;
  /** Default: `argocd`. */
  namespace?: string;
  /** With its API server. Default: yes. */
  server?: boolean;
  /** Added to the arguments of a part, as a measurement wants. */
  args?: Partial<Record<Part, readonly string[]>>;
  env?: Partial<Record<Part, Readonly<Record<string, string>>>>;
}

export interface ArgoCd {
  readonly namespace: string;
  readonly redisUrl: string;
  /** Of the API server; undefined without one. */
  readonly url: string | undefined;
  readonly metricsUrl: string;
  readonly processes: Readonly<Record<Part | 'redis', Process | undefined>>;
  /** The cluster Secret that makes a cluster known by this name. */
  addCluster(name: string, plane: ControlPlane): Promise<void>;
  removeCluster(name: string): Promise<void>;
  addRepository(url: string, credential: string): Promise<void>;
  /** Annotate, so that it is compared with git now. */
  refresh(application: string): Promise<void>;
  application(name: string): Promise<KubeObject | undefined>;
  /** Read the settings again: some count from the start only. */
  restart(): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

const applications = 'argoproj.io/v1alpha1/applications';
const wanted = new Set(['CustomResourceDefinition', 'ConfigMap', 'Secret']);

/** CRDs, settings and empty Secrets of the install manifest: not its workloads, which are our processes. */
export async function installArgoCd(plane: ControlPlane, tools: Tools, namespace = 'argocd'): Promise<void> {
  const manifest = readFileSync(join(tools.share, 'argocd', 'install.yaml'), 'utf8');
  const objects = readObjects(manifest).filter(({ kind }) => wanted.has(kind));
  const crds = objects.filter(({ kind }) => kind === 'CustomResourceDefinition');
  const others = objects.filter(({ kind }) => kind !== 'CustomResourceDefinition');
  await plane.kube.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }, ...crds);
  for (const object of others) await plane.kube.apply({ ...object, metadata: { ...object.metadata, namespace } });
  const project = {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'AppProject',
    metadata: { name: 'default', namespace },
    spec: {
      sourceRepos: ['*'],
      destinations: [{ namespace: '*', server: '*' }],
      clusterResourceWhitelist: [{ group: '*', kind: '*' }],
    },
  };
  // A new kind is served a moment after it was made, and listed another one later.
  await waitFor('the API server serves Applications and AppProjects', async () => {
    await plane.kube.list(applications);
    await plane.kube.apply(project);
    return true;
  });
}

function secret(namespace: string, name: string, type: string, data: Record<string, string>): KubeObject {
  const labels = { 'argocd.argoproj.io/secret-type': type };
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace, labels }, stringData: data };
}

/** Installs and starts it; the control plane is its cluster `in-cluster`. */
export async function startArgoCd(options: ArgoCdOptions): Promise<ArgoCd> {
  const { plane, tools, namespace = 'argocd', server = true } = options;
  const dir = join(plane.dir, 'argocd');
  for (const folder of ['gnupg', 'tls', 'ssh', 'plugins', 'tmp', 'redis'])
    mkdirSync(join(dir, folder), { recursive: true, mode: 0o700 });
  writeFileSync(join(dir, 'ssh', 'ssh_known_hosts'), '');
  await installArgoCd(plane, tools, namespace);
  const port = { redis: await freePort(), repo: await freePort(), server: await freePort() };
  const metrics = { repo: await freePort(), controller: await freePort(), server: await freePort() };
  const redis = `127.0.0.1:${port.redis}`;
  const connected = ['--redis', redis, '--repo-server', `127.0.0.1:${port.repo}`, '--repo-server-plaintext'];
  const local = ['--loglevel', 'info', '--logformat', 'json'];
  const account = ['--kubeconfig', plane.adminKubeconfig, '--namespace', namespace];
  const args: Record<Part, string[]> = {
    'repo-server': [
      ...['--disable-tls', '--redis', redis, '--port', `${port.repo}`, '--metrics-port', `${metrics.repo}`],
      ...['--address', '127.0.0.1', '--metrics-address', '127.0.0.1', ...local],
    ],
    'application-controller': [...account, ...connected, '--metrics-port', `${metrics.controller}`, ...local],
    server: [
      ...[...account, ...connected, '--insecure', '--disable-auth', '--port', `${port.server}`],
      ...['--address', '127.0.0.1', '--metrics-address', '127.0.0.1', '--metrics-port', `${metrics.server}`, ...local],
    ],
  };

  function startRedis(): Process {
    return startProcess({
      name: 'argocd/redis',
      command: 'redis-server',
      args: ['--port', `${port.redis}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir],
      logFile: join(dir, 'redis.log'),
    });
  }

  async function startPart(part: Part): Promise<Process> {
    const settings = await plane.kube.get('v1/configmaps', 'argocd-cmd-params-cm', namespace);
    return startProcess({
      name: `argocd/${part}`,
      command: join(tools.bin, 'argocd'),
      args: [...args[part], ...(options.args?.[part] ?? [])],
      env: { ...argocdEnvironment(part, tools, settings), ...paths(), ...options.env?.[part] },
      cwd: dir,
      logFile: join(dir, `${part}.log`),
    });
  }

  function paths(): Record<string, string> {
    return {
      // The cluster that it runs in is the one of its kubeconfig.
      ARGOCD_FAKE_IN_CLUSTER: 'true',
      KUBECONFIG: plane.adminKubeconfig,
      ARGOCD_GNUPGHOME: join(dir, 'gnupg'),
      ARGOCD_GPG_ENABLED: 'false',
      ARGOCD_TLS_DATA_PATH: join(dir, 'tls'),
      ARGOCD_SSH_DATA_PATH: join(dir, 'ssh'),
      ARGOCD_PLUGINSOCKFILEPATH: join(dir, 'plugins'),
      // Git asks this program for the credential, and it asks the repo server.
      PATH: `${tools.bin}:${process.env.PATH}`,
      ARGOCD_ASK_PASS_SOCK: join(dir, 'ask-pass.sock'),
      TMPDIR: join(dir, 'tmp'),
    };
  }

  const processes: Record<Part | 'redis', Process | undefined> = {
    redis: undefined,
    'repo-server': undefined,
    'application-controller': undefined,
    server: undefined,
  };

  async function start(): Promise<void> {
    processes.redis = startRedis();
    processes['repo-server'] = await startPart('repo-server');
    const answers = async (metricsPort: number, path: string) =>
      (await fetch(`http://127.0.0.1:${metricsPort}${path}`)).ok || undefined;
    const of = processes['repo-server'];
    await waitFor("Argo CD's repo server is up", () => answers(metrics.repo, '/metrics'), { of });
    processes['application-controller'] = await startPart('application-controller');
    if (server) processes.server = await startPart('server');
    const controller = processes['application-controller'];
    await waitFor("Argo CD's controller is up", () => answers(metrics.controller, '/healthz'), { of: controller });
  }

  async function endAll(how: 'kill' | 'stop'): Promise<void> {
    await Promise.all(Object.values(processes).map((one) => one?.[how]()));
  }

  const self: ArgoCd = {
    namespace,
    redisUrl: `redis://${redis}`,
    url: server ? `http://127.0.0.1:${port.server}` : undefined,
    metricsUrl: `http://127.0.0.1:${metrics.controller}/metrics`,
    processes,
    async addCluster(name, { url, pki }) {
      const { certFile, keyFile } = pki.client('argocd', ['system:masters']);
      const base64 = (file: string) => readFileSync(file).toString('base64');
      const tlsClientConfig = { caData: base64(pki.caFile), certData: base64(certFile), keyData: base64(keyFile) };
      const data = { name, server: url, config: JSON.stringify({ tlsClientConfig }) };
      await plane.kube.apply(secret(namespace, `cluster-${name}`, 'cluster', data));
    },
    removeCluster: (name) => plane.kube.delete('v1/secrets', `cluster-${name}`, namespace),
    async addRepository(url, credential) {
      const colon = credential.indexOf(':');
      const [username, password] = [credential.slice(0, colon), credential.slice(colon + 1)];
      // The header at once: else each fetch is refused first, and then starts Argo CD's program twice to ask for name and password.
      const data = { type: 'git', url, username, password, forceHttpBasicAuth: 'true' };
      await plane.kube.apply(secret(namespace, 'repository', 'repository', data));
    },
    async refresh(application) {
      const metadata = { annotations: { 'argocd.argoproj.io/refresh': 'normal' } };
      await plane.kube.patch(applications, application, { metadata }, namespace);
    },
    application: (name) => plane.kube.get(applications, name, namespace),
    async restart() {
      await endAll('kill');
      await start();
    },
    kill: () => endAll('kill'),
    start,
    stop: () => endAll('stop'),
  };
  await start();
  return self;
}
