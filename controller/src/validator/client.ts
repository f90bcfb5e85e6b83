// The calls a miner makes to one validator (protocol.md 6). Reads are tried three times when the connection fails, writes and launch
// configs once: a second attempt could cost the only token.

import type { Logger } from 'pino';
import { z } from 'zod';
import { parseChute } from '../domain/chute.ts';
import type { Clock } from '../domain/clock.ts';
import type { ValidatorConfig } from '../domain/config.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import type { LaunchGranted, LaunchRefused, NodeArgs, ValidatorClient, VerificationStatus } from '../domain/ports.ts';
import { type Random, systemRandom } from '../domain/random.ts';
import type { Signer } from '../signing/sr25519.ts';
import { type Answer, type Call, createRequester, defaultTimeouts, detailOf, refusal, type Timeouts } from './http.ts';
import { parseJson } from './json.ts';

export interface ValidatorClientOptions {
  config: ValidatorConfig;
  signer: Signer;
  clock: Clock;
  log: Pick<Logger, 'warn'>;
  timeouts?: Partial<Timeouts>;
  random?: Random;
}

const readAttempts = 3;

const integer = z.union([z.int(), z.bigint()]).transform(BigInt);
const launchAnswer = z.object({ token: z.string().min(1), config_id: z.string().min(1) });
const nodesAnswer = z.object({
  task_id: z.string().min(1),
  nodes: z.array(z.object({ seed: integer.nullish() })).default([]),
});
const statusAnswer = z.object({
  status: z.enum(['pending', 'verified', 'error', 'failed']),
  error: z.unknown().optional(),
  detail: z.unknown().optional(),
});

function isMissing({ status }: Answer): boolean {
  return status === 404;
}

function isSuccess({ status }: Answer): boolean {
  return status >= 200 && status < 300;
}

/** Without undefined and null: validators refuse what they do not know (protocol.md 6.3). */
function compact(node: NodeArgs): Record<string, unknown> {
  return Object.fromEntries(Object.entries(node).filter(([, value]) => value !== undefined && value !== null));
}

/** Client of one validator, as `ValidatorClient` describes it. */
export function createValidatorClient(options: ValidatorClientOptions): ValidatorClient {
  const { config, signer, clock, log, random = systemRandom } = options;
  const timeouts = { ...defaultTimeouts, ...options.timeouts };
  const requester = createRequester({ config, signer, clock, random, timeouts, log });

  function unreadable(call: Call, error: unknown): MinerError {
    const problem = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    const message = `validator ${config.api} gave an answer to ${call.method} ${call.path.split('?')[0]} that cannot be read`;
    return new MinerError('E-VALIDATOR', message, { detail: { problem: problem.slice(0, 500) } });
  }

  function read<T>(call: Call, schema: z.ZodType<T>, answer: Answer): T {
    try {
      return schema.parse(parseJson(answer.text));
    } catch (error) {
      throw unreadable(call, error);
    }
  }

  /** Send and require one of the statuses, a success by default. */
  async function expect(call: Call, fits: (answer: Answer) => boolean = isSuccess): Promise<Answer> {
    const answer = await requester.send(call);
    if (!fits(answer)) throw refusal(config, call, answer);
    return answer;
  }

  async function launchConfig(chuteId: string, jobId?: string): Promise<LaunchGranted | LaunchRefused> {
    const query = new URLSearchParams({ chute_id: chuteId, ...(jobId === undefined ? {} : { job_id: jobId }) });
    const call: Call = { method: 'GET', path: `/instances/launch_config?${query}`, purpose: 'launch' };
    let answer: Answer;
    try {
      answer = await requester.send(call);
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
    const path = `/instances/${encodeURIComponent(chuteId)}/${encodeURIComponent(instanceId)}`;
    await expect({ method: 'DELETE', path, purpose: 'instances' }, (answer) => isSuccess(answer) || isMissing(answer));
  }

  async function chute(chuteId: string, version: string) {
    const path = `/miner/chutes/${encodeURIComponent(chuteId)}/${encodeURIComponent(version)}`;
    const call: Call = { method: 'GET', path, purpose: 'miner', attempts: readAttempts };
    const answer = await expect(call, (given) => isSuccess(given) || isMissing(given));
    if (isMissing(answer)) return undefined;
    try {
      return parseChute(parseJson(answer.text), config.hotkey);
    } catch (error) {
      throw unreadable(call, error);
    }
  }

  async function supportedGpus(): Promise<ReadonlySet<string>> {
    const call: Call = { method: 'GET', path: '/nodes/supported', attempts: readAttempts };
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
    const call: Call = { method: 'GET', path, purpose: 'graval', attempts: readAttempts };
    const { status, error, detail } = read(call, statusAnswer, await expect(call));
    if (status === 'pending' || status === 'verified') return { status };
    const said = error ?? detail;
    const text = typeof said === 'string' && said !== '' ? said : `validator reports ${status}`;
    return { status: 'failed', detail: text.slice(0, 1000) };
  }

  async function forgetGpu(gpuId: string): Promise<void> {
    const call: Call = { method: 'DELETE', path: `/nodes/${encodeURIComponent(gpuId)}`, purpose: 'nodes' };
    await expect(call, (answer) => isSuccess(answer) || isMissing(answer));
  }

  async function forgetServer(serverId: string, gpuIds: readonly string[]): Promise<void> {
    const call: Call = { method: 'DELETE', path: `/servers/${encodeURIComponent(serverId)}`, purpose: 'tee' };
    const answer = await expect(call, (given) => isSuccess(given) || given.status === 404 || given.status === 405);
    if (isSuccess(answer)) return;
    const failures: unknown[] = [];
    for (const gpuId of gpuIds) await forgetGpu(gpuId).catch((error: unknown) => failures.push(error));
    if (failures.length === 1) throw failures[0];
    if (failures.length > 1) {
      const message = `${failures.length} of ${gpuIds.length} GPUs could not be deleted: ${messageOf(failures[0])}`;
      throw new MinerError('E-VALIDATOR', message, { detail: { failed: failures.map(messageOf) } });
    }
  }

  return {
    hotkey: config.hotkey,
    launchConfig,
    deleteInstance,
    chute,
    supportedGpus,
    advertiseNodes,
    verificationStatus,
    forgetServer,
  };
}
