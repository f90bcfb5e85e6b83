// One GPU server as an operator sets it up, on a real node: registries and validator outside of it, the rendered chart applied, Secrets made.

import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@miner/controller/domain/clock.ts';
import { type MinerConfig, minerConfig, type ServerConfig, serverConfig } from '@miner/controller/domain/config.ts';
import { seededRandom } from '@miner/controller/domain/random.ts';
import { needsLaunchToken } from '@miner/controller/domain/version.ts';
import { startNameServer } from '@miner/controller/registry/testing/dns.ts';
import { type OciRegistry, startOciRegistry } from '@miner/controller/registry/testing/oci.ts';
import {
  startValidatorRegistry,
  type ValidatorRegistry,
} from '@miner/controller/registry/testing/validator-registry.ts';
import { createSigner, type Signer } from '@miner/controller/signing/sr25519.ts';
import { renderTree } from '@miner/manifests/render.ts';
import { loadCatalogue } from '@miner/simulator/catalogue.ts';
import { type SimulatedValidator, startValidator } from '@miner/simulator/validator/validator.ts';
import type { ChuteView } from '@miner/simulator/validator/views.ts';
import { readObjects } from '../cluster/kube.ts';
import type { Tools } from '../cluster/tools.ts';
import { gpuShortRef, gpus } from './gpus.ts';
import { type Images, pushImages } from './images.ts';
import { address, type Machine, startMachine, world } from './machine.ts';
import { demandPrograms } from './needs.ts';
import { type RealNode, startNode } from './node.ts';
import { type Enforcer, policyEnforcer } from './policies.ts';

export interface Scene {
  readonly machine: Machine;
  readonly node: RealNode;
  readonly images: Images;
  readonly signer: Signer;
  readonly seed: string;
  readonly config: MinerConfig;
  readonly server: ServerConfig;
  readonly validator: SimulatedValidator;
  /** Where the validator's images are, with what it was asked for. */
  readonly registry: ValidatorRegistry;
  readonly enforcer: Enforcer;
  /** Host of the chutes' images. */
  readonly imageHost: string;
  /** A chute that fits the server, and its image as its validator names it. */
  readonly chute: ChuteView;
  readonly chuteImage: string;
  stop(): Promise<void>;
}

export const serverName = 'gpu-1';
const podNetwork = '10.42.0.0/24';
/** Small enough for two processors; the parts of a server are as idle as can be here. */
const small = { requests: { cpu: '50m', memory: '64Mi' }, limits: { cpu: '2', memory: '512Mi' } };

function newKey(): { seed: string; signer: Signer } {
  const seed = randomBytes(32);
  return { seed: seed.toString('hex'), signer: createSigner(seed) };
}

/** One that takes one GPU of ours and is started with a token. */
function suitableChute(validator: SimulatedValidator): ChuteView {
  const fits = validator
    .chutes()
    .find(
      (one) =>
        one.gpuCount === 1 &&
        one.supportedGpus.includes(gpuShortRef) &&
        one.isPublic &&
        !one.jobOnly &&
        !one.disabled &&
        needsLaunchToken(one),
    );
  if (!fits) throw new Error(`the catalogue has no chute for one ${gpuShortRef}`);
  return fits;
}

/** The chart of a GPU server as the miner commits it, the namespaces first. */
function manifestsOf(config: MinerConfig, server: ServerConfig): object[] {
  const files = renderTree(config, new Map([[server.name, server]]));
  const prefix = `members/${server.name}/miner-gpu/`;
  const objects = [...files].filter(([path]) => path.startsWith(prefix)).flatMap(([, text]) => readObjects(text));
  return objects.sort((a, b) => Number(b.kind === 'Namespace') - Number(a.kind === 'Namespace'));
}

async function makeSecrets({ plane }: RealNode, signer: Signer, seed: string): Promise<void> {
  const wallet = JSON.stringify({ ss58Address: signer.address, secretSeed: `0x${seed}` });
  const secret = (name: string, namespace: string, stringData: Record<string, string>) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace },
    stringData,
  });
  await plane.kube.apply(
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'chutes-system' } },
    secret('miner-credentials', 'chutes-system', { 'hotkey.json': wallet }),
    secret('miner-kubeconfig', 'default', { kubeconfig: plane.userKubeconfig('miner', [], serverName) }),
  );
}

/** What device plugin, GPU operator and whoever sets a server up leave there. */
async function prepareNode({ plane, name }: RealNode, machine: Machine): Promise<void> {
  const { kube } = plane;
  const labels = { 'nvidia.com/gpu.present': 'true', 'nvidia.com/gpu.count': '1', 'nvidia.com/gpu.memory': '46068' };
  await kube.patch('v1/nodes', name, { metadata: { labels: { ...labels, 'chutes/external-ip': address } } });
  await kube.patch('v1/nodes', name, { status: { capacity: { 'nvidia.com/gpu': '1' } } }, undefined, 'status');
  const runtime = {
    apiVersion: 'node.k8s.io/v1',
    kind: 'RuntimeClass',
    metadata: { name: 'nvidia' },
    handler: 'nvidia',
  };
  await kube.apply(runtime);
  for (const folder of ['/var/snap/cache', '/var/lib/chutes/agent'])
    await machine.run('install', ['-d', '-o', '1000', '-g', '1000', folder]);
}

/** Resolves when all is applied; that its pods come up is the tests' to see. Rejects with what failed, and nothing is left then. */
export async function openScene(tools: Tools): Promise<Scene> {
  demandPrograms();
  const [miner, validatorKey] = [newKey(), newKey()];
  const label = validatorKey.signer.address.toLowerCase();
  const ends: (() => unknown)[] = [];
  async function stop(): Promise<void> {
    for (let end = ends.pop(); end; end = ends.pop()) await end();
  }
  try {
    const imageHost = `${label}.localregistry.chutes.ai`;
    const machine = await startMachine([`127.0.0.1 ${imageHost}`]);
    ends.push(() => machine.stop());
    const dir = join(machine.dir, 'outside');
    mkdirSync(dir);
    const started = async <T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> => {
      const one = await starting;
      ends.push(() => one.stop());
      return one;
    };
    const ours: OciRegistry = await started(startOciRegistry(join(dir, 'ours'), world));
    const theirs = await started(startOciRegistry(join(dir, 'theirs')));
    const front = startValidatorRegistry(
      join(dir, 'front'),
      'registry.test',
      miner.signer.address,
      theirs.value,
      world,
    );
    const registry = await started(front);
    const names = await startNameServer(world, 53);
    ends.push(() => names.close());
    const validator = await startValidator({
      host: world,
      port: 80,
      hotkey: { ss58: validatorKey.signer.address, seed: validatorKey.seed },
      clock: systemClock,
      random: seededRandom(1),
      registeredHotkeys: [miner.signer.address],
      allowPrivateHosts: true,
      graval: { sizes: gpus.proofSizes, infoRounds: 2, timing: false },
    });
    ends.push(() => validator.close());
    const chute = suitableChute(validator);
    validator.setOthers(chute.chuteId, 0);
    validator.setTarget(chute.chuteId, 4);
    const chuteImage = loadCatalogue().chutes.get(chute.chuteId)?.item.image ?? '';
    const images = await pushImages({
      dir,
      ours: ours.value,
      validators: theirs.value,
      chuteImage,
      trusted: registry.ca,
      gpus,
    });
    const node = await startNode({
      name: serverName,
      machine,
      tools,
      pauseImage: images.pause,
      podNetwork,
      plainRegistries: {
        [ours.value]: `http://${ours.value}`,
        [`${imageHost}:30500`]: `http://${imageHost}:30500`,
      },
    });
    const config = minerConfig.parse({
      hotkey: miner.signer.address,
      validators: [
        {
          hotkey: validator.hotkey,
          registry: registry.address,
          api: validator.url,
          socket: validator.socketUrl,
        },
      ],
      images: { miner: images.miner, cacheCleaner: images.miner, nginx: images.nginx, gravalBootstrap: images.graval },
      // Debian's nginx is older than what keeps connections.
      registry: { resolvers: [world], keepConnections: false, resources: small, auth: { resources: small } },
      agent: { resources: small },
      cache: { resources: small },
      shutdownSeconds: 5,
    });
    const server = serverConfig.parse({
      name: serverName,
      validator: validator.hotkey,
      hourlyCost: 1,
      gpuShortRef,
      agentApi: `http://${address}:32000`,
    });
    await makeSecrets(node, miner.signer, miner.seed);
    await prepareNode(node, machine);
    await node.plane.kube.apply(...manifestsOf(config, server));
    const enforcer = policyEnforcer(node.plane.kube, async (rules) => {
      await machine.run('nft', ['-f', '-'], rules);
    });
    await enforcer.start();
    ends.push(() => enforcer.stop());
    return {
      machine,
      node,
      images,
      ...miner,
      config,
      server,
      validator,
      registry,
      enforcer,
      imageHost,
      chute,
      chuteImage,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
