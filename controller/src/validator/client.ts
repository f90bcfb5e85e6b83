// The calls a miner makes to one validator (protocol.md 6). What the planner and the inventory need is the port `ValidatorClient`; the other
// calls are in files of their own and on the same object.

import { z } from 'zod';
import { parseChute } from '../domain/chute.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import type {
  LaunchGranted,
  LaunchRefused,
  NodeArgs,
  ProvenGpu,
  ValidatorClient,
  VerificationStatus,
} from '../domain/ports.ts';
import { type Announcements, announcements } from './announce.ts';
import { createCalls, idempotentAttempts, isMissing, isSuccess, type ValidatorClientOptions } from './calls.ts';
import { type Answer, type Call, detailOf } from './http.ts';
import { parseJson } from './json.ts';
import { type Remote, remote } from './remote.ts';
import { readItems } from './sse.ts';

export type { ValidatorClientOptions };

export interface FullValidatorClient extends ValidatorClient, Announcements, Remote {
  /** Newer validators want to know the server as well; older ones do not look. */
  launchConfig(chuteId: string, jobId?: string, serverId?: string): Promise<LaunchGranted | LaunchRefused>;
}

const integer = z.union([z.int(), z.bigint()]).transform(BigInt);
const launchAnswer = z.object({ token: z.string().min(1), config_id: z.string().min(1) });
const nodesAnswer = z.object({
  task_id: z.string().min(1),
  nodes: z.array(z.object({ seed: integer.nullish() })).default([]),
});
const nothing = <T>(value: T | null | undefined) => value ?? undefined;
/** An item of `/miner/nodes/` (protocol.md 6.1). */
const deviceInfo = z.object({
  uuid: z.string().min(1),
  name: z.string(),
  memory: z.number(),
  clock_rate: z.number(),
  major: z.number().nullish().transform(nothing),
  minor: z.number().nullish().transform(nothing),
  processors: z.number().nullish().transform(nothing),
  sxm: z.boolean().nullish().transform(nothing),
  max_threads_per_processor: z.number().nullish().transform(nothing),
  concurrent_kernels: z.boolean().nullish().transform(nothing),
  ecc: z.boolean().nullish().transform(nothing),
});
const knownNode = z.looseObject({
  server_id: z.string().nullish(),
  verified_at: z.string().nullish(),
  device_index: z.number().int(),
  gpu_identifier: z.string(),
  verification_port: z.number().int().nullish(),
  seed: integer.nullish(),
});
const statusAnswer = z.object({
  status: z.enum(['pending', 'verified', 'error', 'failed']),
  error: z.unknown().optional(),
  detail: z.unknown().optional(),
});

/** Without undefined and null: validators refuse what they do not know (protocol.md 6.3). */
function compact(node: NodeArgs): Record<string, unknown> {
  return Object.fromEntries(Object.entries(node).filter(([, value]) => value !== undefined && value !== null));
}

/** Client of one validator. Times out by itself; rejects with E-VALIDATOR (it said no) or E-VALIDATOR-UNREACHABLE. */
export function createValidatorClient(options: ValidatorClientOptions): FullValidatorClient {
  const calls = createCalls(options);
  const { config, send, expect, read, remove, unreadable } = calls;

  async function launchConfig(
    chuteId: string,
    jobId?: string,
    serverId?: string,
  ): Promise<LaunchGranted | LaunchRefused> {
    const query = new URLSearchParams({ chute_id: chuteId });
    if (jobId !== undefined) query.set('job_id', jobId);
    if (serverId !== undefined) query.set('server_id', serverId);
    const call: Call = { method: 'GET', path: `/instances/launch_config?${query}`, purpose: 'launch' };
    let answer: Answer;
    try {
      answer = await send(call);
    } catch (error) {
      return { granted: false, status: 0, detail: messageOf(error) };
    }
    if (!isSuccess(answer)) return { granted: false, status: answer.status, detail: detailOf(answer) };
    try {
      const { token, config_id } = launchAnswer.parse(parseJson(answer.text));
      return { granted: true, token, configId: config_id };
    } catch {
      // The answer may hold half a token: nothing of it is repeated.
      return { granted: false, status: answer.status, detail: 'the answer holds no token and config_id' };
    }
  }

  async function deleteInstance(chuteId: string, instanceId: string): Promise<void> {
    await remove(`/instances/${encodeURIComponent(chuteId)}/${encodeURIComponent(instanceId)}`, 'instances');
  }

  async function chute(chuteId: string, version: string) {
    const path = `/miner/chutes/${encodeURIComponent(chuteId)}/${encodeURIComponent(version)}`;
    const call: Call = { method: 'GET', path, purpose: 'miner', attempts: idempotentAttempts };
    const answer = await expect(call, (given) => isSuccess(given) || isMissing(given));
    if (isMissing(answer)) return undefined;
    try {
      return parseChute(parseJson(answer.text), config.hotkey);
    } catch (error) {
      throw unreadable(call, error);
    }
  }

  async function supportedGpus(): Promise<ReadonlySet<string>> {
    const call: Call = { method: 'GET', path: '/nodes/supported', attempts: idempotentAttempts };
    return new Set(Object.keys(read(call, z.record(z.string(), z.unknown()), await expect(call))));
  }

  async function advertiseNodes(server: { serverId: string; name: string }, nodes: readonly NodeArgs[]) {
    const body = { server_id: server.serverId, server_name: server.name, nodes: nodes.map(compact) };
    const call: Call = { method: 'POST', path: '/nodes/', body };
    const answer = read(call, nodesAnswer, await expect(call, ({ status }) => status === 202));
    const seeds = new Set(answer.nodes.flatMap(({ seed }) => (seed === null || seed === undefined ? [] : [seed])));
    if (seeds.size > 1) {
      throw new MinerError('E-VALIDATOR', `validator ${config.api} gave ${seeds.size} seeds to the GPUs of one server`);
    }
    return { taskId: answer.task_id, seed: seeds.values().next().value };
  }

  async function verificationStatus(taskId: string): Promise<VerificationStatus> {
    const path = `/nodes/verification_status?${new URLSearchParams({ task_id: taskId })}`;
    const call: Call = { method: 'GET', path, purpose: 'graval', attempts: idempotentAttempts };
    const { status, error, detail } = read(call, statusAnswer, await expect(call));
    if (status === 'pending' || status === 'verified') return { status };
    const said = error ?? detail;
    const text = typeof said === 'string' && said !== '' ? said : `validator reports ${status}`;
    return { status: 'failed', detail: text.slice(0, 1000) };
  }

  async function advertiseServer(
    server: { serverId: string; name: string; host: string },
    gpus: readonly NodeArgs[],
  ): Promise<void> {
    const body = { host: server.host, id: server.serverId, name: server.name, gpus: gpus.map(compact) };
    await expect({ method: 'POST', path: '/servers/', body });
  }

  async function forgetServer(serverId: string, gpuIds: readonly string[]): Promise<void> {
    const path = `/servers/${encodeURIComponent(serverId)}`;
    const call: Call = { method: 'DELETE', path, purpose: 'tee', attempts: idempotentAttempts };
    const answer = await expect(call, (given) => isSuccess(given) || given.status === 404 || given.status === 405);
    if (isSuccess(answer)) return;
    const failures: unknown[] = [];
    for (const gpuId of gpuIds)
      await remove(`/nodes/${encodeURIComponent(gpuId)}`, 'nodes').catch((error: unknown) => failures.push(error));
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) {
      const message = `${failures.length} of ${gpuIds.length} GPUs could not be deleted: ${messageOf(failures[0])}`;
      throw new MinerError('E-VALIDATOR', message, { detail: { failed: failures.map(messageOf) } });
    }
  }

  async function provenGpus(serverId: string): Promise<ProvenGpu[]> {
    const call: Call = { method: 'GET', path: '/miner/nodes/', purpose: 'miner', attempts: idempotentAttempts };
    const { text } = await expect(call);
    const proven: { index: number; gpu: ProvenGpu }[] = [];
    await readItems(new Blob([text]).stream(), (item) => {
      if (item === '' || item === 'NO_ITEMS') return;
      const node = knownNode.parse(parseJson(item));
      if (node.server_id !== serverId || !node.verified_at) return;
      const { device_index: index, gpu_identifier, verification_port, seed } = node;
      const gpu = {
        deviceInfo: deviceInfo.parse(node),
        gpuShortRef: gpu_identifier,
        verificationPort: verification_port ?? undefined,
        seed: seed ?? undefined,
      };
      proven.push({ index, gpu });
    });
    return proven.sort((a, b) => a.index - b.index).map(({ gpu }) => gpu);
  }

  return {
    hotkey: config.hotkey,
    provenGpus,
    launchConfig,
    deleteInstance,
    chute,
    supportedGpus,
    advertiseNodes,
    verificationStatus,
    advertiseServer,
    forgetServer,
    ...announcements(calls),
    ...remote(calls),
  };
}
