// Proves the GPUs of a checked server to its validator (graval.md 4.4) and takes it into the inventory. Each step that changes something
// puts its reverse on the undo stack; the caller unwinds it when a step rejects.

import { MinerError, messageOf } from '../domain/errors.ts';
import { allocateNodePorts } from '../domain/nodeport.ts';
import type { MemberNode, NodeArgs, ValidatorClient } from '../domain/ports.ts';
import type { DeviceInfo, Server } from '../domain/server.ts';
import { sizeServer } from '../domain/sizing.ts';
import type { CheckedNode } from './checks.ts';
import type { NodeDeps, Progress } from './deps.ts';
import { checkDevices, fetchDevices } from './devices.ts';
import type { UndoStack } from './undo.ts';

/** Seconds for the bootstrap pod to become ready, and again for the validator's verdict (protocol.md 7.1). */
const bootstrapTimeoutSeconds = 900;

const pollMs = 1000;
/** Polls in a row that may fail while the proof goes on. */
const failedPollsAllowed = 10;
const commitAttempts = 3;
/** Most GPUs the validator takes for one server. */
const maxGpus = 10;

export interface Job extends CheckedNode {
  deps: NodeDeps;
  undo: UndoStack;
  progress: Progress;
  signal: AbortSignal;
}

function stopIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new MinerError('E-VERIFICATION', 'adding the node was stopped');
}

function gpuCountOf(node: MemberNode): number {
  const label = node.labels['nvidia.com/gpu.count'];
  if (label !== String(node.gpus)) {
    throw new MinerError(
      'E-NODE',
      `label nvidia.com/gpu.count is ${label ?? 'missing'}, the node's capacity is ${node.gpus}`,
    );
  }
  if (node.gpus < 1 || node.gpus > maxGpus) {
    throw new MinerError('E-NODE', `node ${node.name} has ${node.gpus} GPUs; a server has 1 to ${maxGpus}`);
  }
  return node.gpus;
}

/** The row of the server, still without GPUs and verification port. */
async function describeServer({ request, node, deps, progress }: Job): Promise<Server> {
  const { name, gpuShortRef, validator } = request;
  progress(`labelling node ${name}`);
  await deps.members.labelNode(name, {
    'gpu-short-ref': gpuShortRef,
    'chutes/validator': validator,
    'chutes/worker': 'true',
  });
  if (!node.ready) throw new MinerError('E-NODE', `node ${name} is not Ready`);
  const ip = node.labels['chutes/external-ip'];
  if (!ip) throw new MinerError('E-NODE', `node ${name} has no label chutes/external-ip`);
  const gpus = gpuCountOf(node);
  const gpuMemoryMiB = Number(node.labels['nvidia.com/gpu.memory'] ?? 0);
  const sizing = sizeServer({ cpus: node.cpus, memoryGiB: node.memoryGiB, gpus, gpuMemoryMiB });
  progress(`node ${name} has ${gpus} GPUs, ${sizing.cpuPerGpu} CPUs and ${sizing.memoryPerGpu} GiB of RAM for each`);
  return {
    serverId: node.uid,
    name,
    validator,
    ip,
    agentApi: request.agentApi,
    gpuShortRef,
    gpus: [],
    ...sizing,
    diskGb: node.diskGb,
    hourlyCost: request.hourlyCost,
    locked: request.locked,
    tee: false,
    seed: undefined,
    verificationPort: undefined,
    createdAt: deps.clock.now(),
  };
}

async function freeNodePort(name: string, { store, members }: NodeDeps): Promise<number> {
  const held = (await store.lifecycles()).filter((row) => row.server === name && row.goneAt === undefined);
  const pods = members.observe().pods.filter((pod) => pod.server === name);
  const [port] = allocateNodePorts(new Set([...held, ...pods].flatMap((one) => one.nodePorts)), 1) ?? [];
  if (port === undefined) throw new MinerError('E-CLUSTER', `server ${name} has no free node port`);
  return port;
}

async function startBootstrap(job: Job, server: Server): Promise<number> {
  const { deps, node, request, progress, signal } = job;
  const nodePort = await freeNodePort(server.name, deps);
  progress(`starting the GPU verification on node port ${nodePort}`);
  const started = await deps.members.startBootstrap(
    server.name,
    {
      gpuCount: node.gpus,
      cpuPerGpu: server.cpuPerGpu,
      memoryPerGpu: server.memoryPerGpu,
      image: deps.config().images.gravalBootstrap,
      validatorHotkey: request.validator,
      minerHotkey: deps.signer.address,
      nodePort,
      timeoutSeconds: bootstrapTimeoutSeconds,
    },
    signal,
  );
  return started.nodePort;
}

function nodeArgs(device: DeviceInfo, index: number, server: Server, port: number): NodeArgs {
  return {
    ...device,
    device_index: index,
    gpu_identifier: server.gpuShortRef,
    verification_host: server.ip,
    verification_port: port,
  };
}

function isPassing(error: unknown): boolean {
  if (!(error instanceof MinerError)) return false;
  const status = error.detail?.status;
  return (
    error.code === 'E-VALIDATOR-UNREACHABLE' ||
    (error.code === 'E-VALIDATOR' && typeof status === 'number' && status >= 500)
  );
}

/** Resolves when the validator has verified the GPUs; one poll a second, one message each. */
async function awaitVerdict(
  validator: ValidatorClient,
  taskId: string,
  { deps, progress, signal }: Job,
): Promise<void> {
  const startedAt = deps.clock.now();
  for (let failures = 0; ; ) {
    stopIfAborted(signal);
    const seconds = Math.round((deps.clock.now() - startedAt) / 1000);
    if (seconds > bootstrapTimeoutSeconds) {
      throw new MinerError('E-VERIFICATION', `the validator gave no verdict within ${bootstrapTimeoutSeconds} s`);
    }
    try {
      const verdict = await validator.verificationStatus(taskId);
      failures = 0;
      if (verdict.status === 'verified') return;
      if (verdict.status === 'failed') {
        throw new MinerError('E-VERIFICATION', `the validator refused the GPUs: ${verdict.detail}`);
      }
      progress(`waiting for the validator to verify the GPUs (${seconds} s)`);
    } catch (error) {
      if (!isPassing(error) || ++failures > failedPollsAllowed) throw error;
      progress(`the validator does not answer, asking again: ${messageOf(error)}`);
    }
    await deps.clock.sleep(pollMs, signal);
  }
}

/** Undone by having the validator forget the server, unless it refused: what it knows then, such as a GPU of another server, is not ours. */
async function advertise(validator: ValidatorClient, server: Server, nodes: readonly NodeArgs[], undo: UndoStack) {
  const gpuIds = nodes.map(({ uuid }) => uuid);
  let refused = false;
  // On the stack before the call: it may arrive although its answer does not.
  undo.push('have the validator forget the server', async () => {
    if (!refused) await validator.forgetServer(server.serverId, gpuIds);
  });
  try {
    return await validator.advertiseNodes({ serverId: server.serverId, name: server.name }, nodes);
  } catch (error) {
    const status = error instanceof MinerError && error.code === 'E-VALIDATOR' ? Number(error.detail?.status) : 0;
    refused = status >= 400 && status < 500;
    throw error;
  }
}

/** Get the GPUs' records, take the server in with unverified GPUs, and have the validator verify them. */
async function verifyGpus(job: Job, described: Server, port: number): Promise<Server> {
  const { deps, undo, progress, signal, validator, request } = job;
  const { signer, clock, store, fetch } = deps;
  const devices = await fetchDevices({ address: `${described.ip}:${port}`, signer, clock, signal, fetch });
  checkDevices(devices, job.node.gpus, request.gpuShortRef);
  const gpuIds = devices.map(({ uuid }) => uuid);
  const holder = (await store.servers()).find(({ gpus }) => gpus.some(({ gpuId }) => gpuIds.includes(gpuId)));
  if (holder)
    throw new MinerError('E-ALREADY-ADDED', `a GPU of node ${described.name} already belongs to server ${holder.name}`);
  progress(`found ${devices.length} GPUs: ${devices[0]?.name}`);
  const gpus = devices.map((deviceInfo) => ({
    gpuId: deviceInfo.uuid,
    model: request.gpuShortRef,
    verified: false,
    deviceInfo,
  }));
  const server: Server = { ...described, gpus, verificationPort: port };
  stopIfAborted(signal);
  await store.addServer(server);
  undo.push('delete the row', () => store.deleteServer(server.name));
  progress('advertising the GPUs to the validator');
  const nodes = devices.map((device, index) => nodeArgs(device, index, server, port));
  const { taskId, seed } = await advertise(validator, server, nodes, undo);
  if (seed !== undefined) await store.updateServer(server.name, { seed });
  // A validator that does not verify says so with this task id, and refuses to be asked about it (protocol.md 6.3).
  if (taskId === 'skip') progress('the validator skips the verification');
  else await awaitVerdict(validator, taskId, job);
  await store.markGpusVerified(gpuIds);
  return server;
}

async function commitServer({ deps, request, undo }: Job): Promise<void> {
  undo.push('take the server out of the cluster repository', () => deps.repo.removeServer(request.name));
  for (let attempt = 1; ; attempt++) {
    try {
      await deps.repo.writeServer(request);
      return;
    } catch (error) {
      const conflict = error instanceof MinerError && error.code === 'E-GIT-CONFLICT';
      if (!conflict || attempt === commitAttempts) throw error;
    }
  }
}

/** All steps after the checks. Rejects with a MinerError; until then the bootstrap is gone, the rest is for `undo`. */
export async function runGraval(job: Job): Promise<void> {
  const { deps, progress, signal } = job;
  const described = await describeServer(job);
  stopIfAborted(signal);
  try {
    await verifyGpus(job, described, await startBootstrap(job, described));
  } catch (error) {
    await deps.members.stopBootstrap(described.name).catch((failure: unknown) => {
      deps.log.warn({ server: described.name, reason: messageOf(failure) }, 'GPU verification could not be cleaned up');
    });
    throw error;
  }
  // The file on main opens the server for chutes, so the verification must have let go of the GPUs before.
  await deps.members.stopBootstrap(described.name);
  progress(`writing servers/${described.name}.yaml`);
  await commitServer(job);
}
