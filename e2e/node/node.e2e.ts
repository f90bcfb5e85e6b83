// One GPU server with a real kubelet: what the charts render really runs, pulls, is reached, is kept apart and cleans.

import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import type { Chute } from '@miner/controller/domain/chute.ts';
import { systemClock } from '@miner/controller/domain/clock.ts';
import type { DeploymentSpec } from '@miner/controller/domain/deployment.ts';
import { mapPorts, podPorts } from '@miner/controller/domain/nodeport.ts';
import type { Members } from '@miner/controller/domain/ports.ts';
import type { Server } from '@miner/controller/domain/server.ts';
import { openMembers } from '@miner/controller/kubernetes/members.ts';
import { manifestType } from '@miner/controller/registry/testing/oci.ts';
import { createSigner } from '@miner/controller/signing/sr25519.ts';
import { createValidatorClient } from '@miner/controller/validator/client.ts';
import { fetchKubeconfig } from '@miner/controller/verification/agent.ts';
import { renderChute } from '@miner/manifests/charts/chute.ts';
import { gravalBootstrap } from '@miner/manifests/charts/graval-bootstrap.ts';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type KubeObject, readObjects } from '../cluster/kube.ts';
import { waitFor } from '../cluster/process.ts';
import { ensureTools } from '../cluster/tools.ts';
import type { ChuteReport } from './chute.ts';
import { gpuIds, gpuShortRef, gpus } from './gpus.ts';
import { address, neighbour, privateAddress, world } from './machine.ts';
import { openScene, type Scene, serverName } from './scene.ts';

const all = suite('a GPU server with a real kubelet');
let broken: string | undefined;

/** Each test goes on where the one before ended: after one that failed the others say so at once. */
function node(name: string, run: () => unknown): void {
  all(name, async () => {
    assert.ok(broken === undefined, `not tried, since this failed: ${broken}`);
    const startedAt = performance.now();
    broken = name;
    await run();
    broken = undefined;
    console.log(`  ${((performance.now() - startedAt) / 1000).toFixed(1)} s  ${name}`);
  });
}

const timeoutMs = 120_000;
const quiet = { info: () => undefined, warn: () => undefined };
const verificationPort = 31_000;
const [webPort, logPort] = [30_100, 30_101];

let scene: Scene;
let members: Members;
let chute: Chute;
let spec: DeploymentSpec;
let token: string;
/** A chute that was here once. */
const forgotten = randomUUID();

interface Pod extends KubeObject {
  spec: { nodeName: string; runtimeClassName?: string; containers: { name: string }[] };
  status: {
    phase: string;
    podIP?: string;
    conditions?: { type: string; status: string }[];
    containerStatuses?: { name: string; imageID: string; restartCount: number }[];
  };
}

all.before(async () => {
  scene = await openScene(await ensureTools({ node: true }));
  members = openMembers({ clock: systemClock, log: quiet, renderBootstrap: gravalBootstrap });
});

all.after(async () => {
  await members?.close();
  await scene?.stop();
});

const kube = () => scene.node.plane.kube;

function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  return waitFor(what, look, { timeoutMs, everyMs: 300 });
}

function isReady({ status }: Pod): boolean {
  return status.conditions?.some(({ type, status: now }) => type === 'Ready' && now === 'True') ?? false;
}

async function podsOf(namespace: string, selector: string): Promise<Pod[]> {
  return (await kube().list('v1/pods', namespace, selector)) as Pod[];
}

async function readyPod(namespace: string, selector: string): Promise<Pod> {
  try {
    return await until(`a pod ${selector} is ready`, async () => (await podsOf(namespace, selector)).find(isReady));
  } catch (error) {
    const logs = (await podsOf(namespace, selector)).map(({ metadata, spec: { containers } }) =>
      Promise.all(containers.map(({ name }) => logOf(metadata.name, name, namespace).catch(String))),
    );
    const events = (await kube().list('v1/events', namespace)) as (KubeObject & { message?: string })[];
    throw new Error(
      `${error}\n${events.map(({ message }) => message).join('\n')}\n${(await Promise.all(logs)).join('\n')}`,
    );
  }
}

const logOf = (pod: string, container: string, namespace = 'chutes') =>
  kube().raw(`/api/v1/namespaces/${namespace}/pods/${pod}/log?container=${container}`);

/** Status, or that there was none. Not by fetch, which decides about the header Host itself. */
function get(url: string, headers: Record<string, string> = {}): Promise<number | 'no answer'> {
  return new Promise((resolve) => {
    const asking = request(url, { headers, agent: false, timeout: 4_000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 'no answer');
    });
    asking.on('timeout', () => asking.destroy()).on('error', () => resolve('no answer'));
    asking.end();
  });
}

const deploymentLabel = () => `chutes/deployment-id=${spec.deploymentId}`;
const isDeployed = () => readyPod('chutes', deploymentLabel());
/** Answer of the chute at its node port, which kube-proxy opens a moment after the pod is ready. */
const askChute = (path: string): Promise<unknown> =>
  until('the chute answers at its node port', async () => {
    const answer = await fetch(`http://${address}:${webPort}${path}`);
    return { value: await answer.json() };
  }).then(({ value }) => value);
const reportOf = async () => (await askChute('/')) as ChuteReport;

/** Whether the chute gets a connection. */
async function chuteReaches(host: string, port: number): Promise<boolean> {
  return (await askChute(`/reach?host=${host}&port=${port}`)) as boolean;
}

node('the chart of a GPU server comes up, from images of a registry', async () => {
  const [agent, registry] = await Promise.all(
    ['agent', 'chutes-registry'].map((name) => readyPod('chutes-system', `app.kubernetes.io/name=${name}`)),
  );
  const ids = [agent, registry].flatMap((pod) => pod?.status.containerStatuses?.map(({ imageID }) => imageID) ?? []);
  assert.is(ids.length, 3);
  for (const id of ids) assert.match(id, /\/chutes-miner\/(miner|nginx)@sha256:[0-9a-f]{64}$/);
});

node("the agent hands its kubeconfig to the miner's hotkey over its node port, and to nobody else", async () => {
  const api = scene.server.agentApi;
  const stranger = createSigner(Buffer.alloc(32, 9));
  // kube-proxy opens the port a moment after the pod is ready.
  await waitFor('the node port of the agent answers', async () => (await fetch(`${api}/ping`)).ok);
  await fetchKubeconfig(api, stranger).then(
    () => assert.unreachable('a stranger got it'),
    (error: Error) => assert.match(error.message, /answered 401/),
  );
  assert.is(await get(`${api}/config/kubeconfig`), 401);
  await members.add(serverName, await fetchKubeconfig(api, scene.signer));
  const seen = await members.node(serverName);
  assert.equal([seen.name, seen.ready, seen.gpus], [serverName, true, 1]);
});

node(
  'the kubeconfig that was handed out opens launch Secrets, but neither the hotkey nor the making of pods',
  async () => {
    const text = members.kubeconfigs().get(serverName) ?? '';
    const check = async (verb: string, resource: string, namespace: string) => {
      const review = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: { user: 'miner', resourceAttributes: { verb, resource, namespace } },
      };
      const { status } = (await kube().create('authorization.k8s.io/v1/subjectaccessreviews', review)) as KubeObject & {
        status: { allowed: boolean };
      };
      return status.allowed;
    };
    assert.match(text, /client-certificate-data/);
    assert.ok(await check('create', 'secrets', 'chutes'));
    assert.not(await check('get', 'secrets', 'chutes-system'));
    assert.not(await check('list', 'secrets', 'chutes-system'));
    assert.not(await check('create', 'pods', 'chutes'));
  },
);

const client = () => {
  const [config] = scene.config.validators;
  if (!config) throw new Error('no validator is configured');
  return createValidatorClient({ config, signer: scene.signer, clock: systemClock, log: quiet });
};

node(
  'the GPU verification gets all GPUs as a resource and the runtime class, and the validator reaches it',
  async () => {
    const request = {
      gpuCount: 1,
      cpuPerGpu: 1,
      memoryPerGpu: 1,
      image: scene.images.graval,
      validatorHotkey: scene.validator.hotkey,
      minerHotkey: scene.signer.address,
      nodePort: verificationPort,
      timeoutSeconds: 120,
    };
    await members.startBootstrap(serverName, request, AbortSignal.timeout(timeoutMs));
    const [pod] = await podsOf('chutes', 'app=graval');
    assert.is(pod?.spec.runtimeClassName, 'nvidia');
    const nodes = gpus.devices.map((device, device_index) => ({
      ...device,
      device_index,
      gpu_identifier: gpuShortRef,
      verification_host: address,
      verification_port: verificationPort,
    }));
    const { taskId } = await client().advertiseNodes({ serverId: randomUUID(), name: serverName }, nodes);
    const status = await until('the verification ended', async () => {
      const now = await client().verificationStatus(taskId);
      return now.status !== 'pending' && now;
    });
    assert.is(status.status, 'verified', JSON.stringify(status));
    await members.stopBootstrap(serverName);
    assert.is(await get(`http://${address}:${verificationPort}/ping`), 'no answer');
  },
);

node(
  'the scheduled cache cleaner runs as a pod: it asks the cluster, cleans the host and leaves what is in use',
  async () => {
    const old = randomUUID();
    await makeModel(old);
    await runCleaner('by-schedule');
    assert.not(await existsOnHost(modelOf(old)), 'what nobody used for long is gone');
    assert.ok(await existsOnHost('/var/snap/cache/.cache-cleaner'), 'and it was noted when somebody looked');
  },
);

const modelOf = (chuteId: string) => `/var/snap/cache/${chuteId}/hub/models--org--model`;

/** Untouched for two months. */
async function makeModel(chuteId: string): Promise<void> {
  const [folder, all] = [`${modelOf(chuteId)}/blobs`, `/var/snap/cache/${chuteId}`];
  const age = `find ${all} -exec touch -d '-60 days' {} +`;
  await scene.machine.run('sh', [
    '-c',
    `mkdir -p ${folder} && echo x >${folder}/0 && ${age} && chown -R 1000:1000 ${all}`,
  ]);
}

async function existsOnHost(path: string): Promise<boolean> {
  return (await scene.machine.run('sh', ['-c', `if [ -e ${path} ]; then echo yes; fi`])) !== '';
}

async function runCleaner(name: string): Promise<void> {
  const cron = (await kube().get('batch/v1/cronjobs', 'cache-cleaner', 'chutes-system')) as KubeObject & {
    spec: { jobTemplate: { spec: object } };
  };
  const { spec: job } = cron.spec.jobTemplate;
  const metadata = { name, namespace: 'chutes-system' };
  await kube().apply({ apiVersion: 'batch/v1', kind: 'Job', metadata, spec: job });
  await until(`Job ${name} is complete`, async () => {
    const { status } = (await kube().get('batch/v1/jobs', name, 'chutes-system')) as KubeObject & {
      status?: { succeeded?: number; failed?: number };
    };
    if (status?.failed) throw new Error(`Job ${name} failed`);
    return status?.succeeded === 1;
  });
}

node('a chute starts with the Secret of its launch, claims its instance, proves its GPU and is activated', async () => {
  const { chuteId, version } = scene.chute;
  for (const id of [forgotten, chuteId]) await makeModel(id);
  const known = await client().chute(chuteId, version);
  if (!known) return assert.unreachable('the validator does not know its chute');
  chute = known;
  const deploymentId = randomUUID();
  const granted = await client().launchConfig(chuteId);
  if (!('token' in granted)) return assert.unreachable(JSON.stringify(granted));
  spec = {
    deploymentId,
    chuteId,
    chuteName: chute.name,
    version,
    validator: scene.validator.hotkey,
    server: serverName,
    gpuIds,
    ports: mapPorts(podPorts(chute, false), [webPort, logPort]),
    configId: granted.configId,
    jobId: undefined,
    diskGb: 10,
    preemptible: true,
    decisionId: randomUUID(),
    reason: 'scale-up',
  };
  token = granted.token;
  await members.writeLaunchSecret(serverName, deploymentId, token);
  const text = renderChute(spec, { config: scene.config, server: serverRecord(), chute });
  assert.not(text.includes(token));
  await kube().apply(...readObjects(text));
  await isDeployed();
  await until('the instance is active', async () => scene.validator.stats().activeInstances === 1);
  assert.equal((await reportOf()).steps, ['claimed', 'proved', 'activated']);
  assert.equal(scene.validator.stats().violations, []);
  const [pod] = await podsOf('chutes', deploymentLabel());
  assert.not(JSON.stringify(pod).includes(token), 'the token is in no object but the Secret');
});

function serverRecord(): Server {
  return {
    serverId: randomUUID(),
    name: serverName,
    validator: scene.validator.hotkey,
    ip: address,
    agentApi: scene.server.agentApi,
    gpuShortRef,
    gpus: gpus.devices.map((deviceInfo) => ({
      gpuId: deviceInfo.uuid,
      model: gpuShortRef,
      verified: true,
      deviceInfo,
    })),
    cpuPerGpu: 1,
    memoryPerGpu: 1,
    diskGb: 100,
    hourlyCost: 1,
    locked: false,
    tee: false,
    seed: undefined,
    verificationPort,
    createdAt: 0,
  };
}

node(
  'its image was pulled through the proxy of the server, each request signed, and is what the validator has',
  async () => {
    const [pod] = await podsOf('chutes', deploymentLabel());
    const image = pod?.status.containerStatuses?.find(({ name }) => name === 'chute')?.imageID;
    const [repository] = scene.chuteImage.split(':');
    assert.is(image, `${scene.imageHost}:30500/${repository}@${scene.images.chuteDigest}`);
    const asked = scene.registry.requests();
    assert.ok(asked.some(({ path }) => path.endsWith(`/blobs/sha256:${path.split(':').at(-1)}`)));
    for (const { status, path } of asked) assert.is(status, 200, path);
  },
);

node('its command, user, service links and cache are those that the validator looks for', async () => {
  const { args, env, user, cache } = await reportOf();
  const accounts = ['--miner-ss58', scene.signer.address, '--validator-ss58', scene.validator.hotkey];
  assert.equal(args, ['run', chute.refStr, '--port', '8000', ...accounts]);
  assert.is(user, 1000);
  assert.match(env.HOSTNAME ?? '', new RegExp(`^chute-${spec.deploymentId}-`));
  const link = `CHUTE_SERVICE_${spec.deploymentId.toUpperCase().replaceAll('-', '_')}_SERVICE_HOST`;
  assert.match(env[link] ?? 'absent', /^10\.43\./);
  assert.equal([env.CHUTES_PORT_PRIMARY, env.CHUTES_PORT_LOGGING], [String(webPort), String(logPort)]);
  assert.equal(cache, ['hub'], "its own folder, without the cleaner's notes and what others have");
});

node('both node ports of the chute are reached from outside', async () => {
  for (const port of [webPort, logPort])
    await until(`port ${port} answers`, async () => (await get(`http://${address}:${port}/_alive`)) === 200);
});

node(
  'network policies keep the chute from the API server, the parts of the miner and the neighbours, and let it out',
  async () => {
    const { plane } = scene.node;
    const [registry] = await podsOf('chutes-system', 'app.kubernetes.io/name=chutes-registry');
    const targets: [host: string, port: number, allowed: boolean][] = [
      [world, 80, true],
      [new URL(plane.url).hostname, 6443, false],
      ['10.43.0.1', 443, false],
      [registry?.status.podIP ?? '', 5000, false],
      [address, 30_500, false],
      [address, 10_250, false],
      [world, Number(scene.registry.address.split(':')[1]), false],
    ];
    await scene.enforcer.stop();
    for (const [host, port] of targets)
      assert.ok(await chuteReaches(host, port), `${host}:${port} without enforcement`);
    await scene.enforcer.start();
    for (const [host, port, allowed] of targets) assert.is(await chuteReaches(host, port), allowed, `${host}:${port}`);
  },
);

/** Status that a request to the proxy gets, from a process of the server itself. */
async function pullStatus(path: string): Promise<number> {
  const url = `http://${scene.imageHost}:30500${path}`;
  const text = await scene.machine.run('sh', [
    '-c',
    `busybox wget -S -O /dev/null --header 'Accept: ${manifestType}' '${url}' 2>&1 || true`,
  ]);
  return Number(/HTTP\/1\.\d (\d{3})/.exec(text)?.[1]);
}

node('the proxy pulls for its own server only images of chutes that are placed there', async () => {
  const [repository, tag] = scene.chuteImage.split(':');
  assert.is(await pullStatus(`/v2/${repository}/manifests/${tag}`), 200);
  assert.is(await pullStatus('/v2/somebody/else/manifests/1'), 401);
});

node('the proxy serves nobody from another network, public or private, also where no policy is enforced', async () => {
  const [repository, tag] = scene.chuteImage.split(':');
  const attempts = () =>
    Promise.all(
      [address, privateAddress].map((host) =>
        get(`http://${host}:30500/v2/${repository}/manifests/${tag}`, {
          Host: `${scene.imageHost}:30500`,
          Accept: manifestType,
        }),
      ),
    );
  const before = scene.registry.requests().length;
  for (const outcome of await attempts()) assert.is(outcome, 'no answer', `from ${world} or ${neighbour}`);
  await scene.enforcer.stop();
  for (const outcome of await attempts()) assert.is(outcome, 403, `from ${world} or ${neighbour}`);
  await scene.enforcer.start();
  assert.is(scene.registry.requests().length, before);
});

node('before the chute its init container cleaned the cache of the server, and left what is in use', async () => {
  const [pod] = await podsOf('chutes', deploymentLabel());
  assert.match(await logOf(pod?.metadata.name ?? '', 'cache-init'), /^cache: .*removed 1 /);
  assert.not(await existsOnHost(`${modelOf(forgotten)}`), 'nobody used it for two months');
  assert.ok(await existsOnHost(modelOf(spec.chuteId)), "the chute's own, as old as the other one");
});

node('a chute goes with its Job: pod and node ports are gone, and the miner takes its Secret away', async () => {
  await kube().delete('batch/v1/jobs', `chute-${spec.deploymentId}`, 'chutes', { propagationPolicy: 'Foreground' });
  await kube().delete('v1/services', `chute-service-${spec.deploymentId}`, 'chutes');
  await until('the pod is gone', async () => (await podsOf('chutes', deploymentLabel())).length === 0);
  await members.deleteLaunchSecret(serverName, spec.deploymentId);
  assert.equal(await members.launchSecrets(serverName), []);
  await until('the node port is closed', async () => (await get(`http://${address}:${webPort}/`)) === 'no answer');
});

node('neither the seed nor a launch token is in any log of the server', async () => {
  for (const secret of [scene.seed, token]) {
    const found = await scene.machine.run(
      'sh',
      ['-c', 'grep -rl --include=*.log -F -f - "$1" || true', 'sh', scene.machine.dir],
      secret,
    );
    assert.is(found, '');
  }
});

all.run();
