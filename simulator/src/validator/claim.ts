// A chute pod claims its instance with a launch token, once (protocol.md 6.4, graval.md 5). Each check that fails names what is
// wrong; what the miner should have known is a violation.

import { randomBytes, randomUUID } from 'node:crypto';
import { gpuTable } from '@miner/controller/domain/gputable.ts';
import { hasAttestationPort } from '@miner/controller/domain/version.ts';
import { z } from 'zod';
import { encryptWith, prove } from '../refc1.ts';
import { newSeed } from '../refc1-wire.ts';
import { type Answer, bodyAs, type Call, Refusal, type Route } from './http.ts';
import { configOfToken } from './launch.ts';
import { instanceData } from './lifecycle.ts';
import { type Chute, findChute } from './market.ts';
import { hostError } from './nodeargs.ts';
import type { ConfigState, InstanceState, NodeState } from './records.ts';
import type { World } from './world.ts';

const claimBody = z.object({
  gpus: z.array(z.object({ uuid: z.string() })).min(1),
  host: z.string(),
  port_mappings: z
    .array(
      z.object({
        internal_port: z.int().min(1).max(65535),
        external_port: z.int().min(80).max(65535),
        proto: z.string(),
      }),
    )
    .min(1),
});
type ClaimBody = z.infer<typeof claimBody>;

function refuse(world: World, status: number, code: string, detail: string): never {
  world.violation(code, detail);
  throw new Refusal(status, detail);
}

/** The GPUs that a miner says an instance has. Throws what is wrong with them. */
export function claimedNodes(
  world: World,
  minerHotkey: string,
  chute: Chute,
  { ids, host }: { ids: readonly string[]; host: string },
): NodeState[] {
  const expected = chute.entry.item.node_selector.gpu_count;
  if (new Set(ids).size !== ids.length || ids.length !== expected) {
    refuse(world, 400, 'gpu-count', `${ids.length} GPUs claimed, the chute takes ${expected}`);
  }
  const busy = new Set(Object.values(world.state.instances).flatMap(({ nodeIds }) => nodeIds));
  return ids.map((id) => {
    const node = Object.hasOwn(world.state.nodes, id) ? world.state.nodes[id] : undefined;
    if (!node || node.minerHotkey !== minerHotkey || node.verifiedAt === null) {
      return refuse(world, 403, 'gpu-not-verified', `GPU ${id} is not a verified GPU of this miner`);
    }
    if (chute.entry.item.tee && !world.state.servers[node.serverId]?.isTee) {
      refuse(world, 403, 'gpu-not-confidential', `GPU ${id} is not in a confidential server`);
    }
    if (busy.has(id)) refuse(world, 409, 'gpu-in-two-instances', `GPU ${id} is in another instance`);
    if (!chute.entry.item.supported_gpus.includes(node.gpu_identifier)) {
      refuse(world, 400, 'gpu-model', `${node.gpu_identifier} cannot run ${chute.entry.item.name}`);
    }
    if (node.verification_host !== host) {
      refuse(world, 400, 'claim-host', `host ${host} is not ${node.verification_host} of GPU ${id}`);
    }
    return node;
  });
}

function checkPorts(world: World, config: ConfigState, chute: Chute, { host, port_mappings: ports }: ClaimBody): void {
  const { item } = chute.entry;
  const jobPorts = config.jobId === null ? [] : item.jobs.flatMap((job) => job.ports.map(({ port }) => port));
  const attestation = hasAttestationPort({ chutesVersion: item.chutes_version, tee: item.tee }) ? [8002] : [];
  for (const port of [8000, 8001, ...attestation, ...jobPorts]) {
    if (!ports.some(({ internal_port }) => internal_port === port)) {
      refuse(world, 400, 'claim-ports', `port ${port} is not mapped`);
    }
  }
  const neighbours = Object.values(world.state.instances).filter((instance) => instance.host === host);
  const taken = new Set(neighbours.flatMap(({ portMappings }) => portMappings.map((port) => port.external_port)));
  for (const { external_port } of ports) {
    if (taken.has(external_port)) refuse(world, 400, 'claim-ports', `port ${external_port} of ${host} is used twice`);
    taken.add(external_port);
  }
}

/** Iterations and expected seconds of a proof on this GPU. */
export function proofOf(node: NodeState) {
  return gpuTable.find(({ ref }) => ref === node.gpu_identifier)?.graval ?? { iterations: 1, estimateSeconds: 60 };
}

/** What the pod must answer under the symmetric key. */
export function expectedText(instance: InstanceState): string {
  return `secret is ${instance.configId} ${instance.seed}`;
}

type Claimed = Pick<
  InstanceState,
  'configId' | 'chuteId' | 'version' | 'minerHotkey' | 'host' | 'portMappings' | 'jobId' | 'seed'
>;

/** Take an instance in and tell its miner. `chosen` is the GPU that it is named after. */
export function newInstance(
  world: World,
  { nodes, chosen, ...claimed }: Claimed & { nodes: readonly NodeState[]; chosen: NodeState },
): InstanceState {
  const now = world.clock.now();
  const instance: InstanceState = {
    ...claimed,
    instanceId: randomUUID(),
    nodeIds: nodes.map(({ uuid }) => uuid),
    gpuModel: chosen.name,
    symmetricKey: randomBytes(16).toString('hex'),
    createdAt: now,
    verifiedAt: null,
    activatedAt: null,
    verificationError: null,
    cm0: 0,
    boost: 1,
    frozenSeconds: 0,
    followed: 0,
    accruedAt: now,
    replaceAt: null,
    lostAt: null,
  };
  world.state.instances[instance.instanceId] = instance;
  world.state.claims++;
  world.emit('instance_created', instanceData(world, instance), [instance.minerHotkey]);
  world.changed();
  return instance;
}

async function claim(world: World, call: Call): Promise<Answer> {
  const config = await configOfToken(world, call);
  const body = bodyAs(call, claimBody);
  if (config.spentAt !== null) {
    if (config.instanceId !== null) world.violation('token-reuse', `launch config ${config.configId} claimed again`);
    throw new Refusal(401, 'the launch token was used already');
  }
  config.spentAt = world.clock.now();
  world.changed();
  const hostRefusal = hostError(body.host, world.allowPrivateHosts);
  if (hostRefusal) refuse(world, 400, 'claim-host', hostRefusal);
  const chute = findChute(world, config.chuteId);
  if (!chute) throw new Refusal(404, 'the chute is gone');
  if (chute.state.version !== config.version) throw new Refusal(409, 'the chute has a newer version');
  const job = config.jobId === null ? undefined : world.state.jobs[config.jobId];
  if (job && (job.instanceId !== null || job.finishedAt !== null)) throw new Refusal(423, 'the job is taken');
  const ids = body.gpus.map(({ uuid }) => uuid);
  const nodes = claimedNodes(world, config.minerHotkey, chute, { ids, host: body.host });
  checkPorts(world, config, chute, body);
  const chosen = nodes[Math.floor(world.random() * nodes.length)] as NodeState;
  const { iterations } = proofOf(chosen);
  const seed = newSeed();
  const { configId, chuteId, version, minerHotkey, jobId } = config;
  const { host, port_mappings: portMappings } = body;
  const claimed = { configId, chuteId, version, minerHotkey, jobId, host, portMappings };
  const instance = newInstance(world, { ...claimed, nodes, chosen, seed: String(seed) });
  config.instanceId = instance.instanceId;
  if (job) job.instanceId = instance.instanceId;
  const ciphertext = encryptWith(prove(seed, iterations, chosen, world.graval.sizes), instance.symmetricKey);
  const symmetric_key = { ciphertext, uuid: chosen.uuid, response_plaintext: expectedText(instance) };
  return { body: { seed, iterations, job_id: config.jobId, symmetric_key } };
}

export const claimPath = '/instances/launch_config/:config_id';

export function claimRoutes(world: World): Route[] {
  return [{ method: 'POST', path: claimPath, signed: 'token', handle: (call) => claim(world, call) }];
}
