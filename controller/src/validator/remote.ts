// What the validator holds of this miner besides its feeds (protocol.md 6.2): servers and GPUs. Routes that only newer validators
// have answer undefined elsewhere.

import { z } from 'zod';
import { type Calls, idempotentAttempts, isMissing, isSuccess } from './calls.ts';
import type { Call } from './http.ts';

export interface RemoteServer {
  serverId: string;
  name: string | undefined;
  ip: string | undefined;
  tee: boolean;
  /** Version of the VM; undefined for servers without one. */
  version: string | undefined;
  gpuIds: readonly string[];
}

export interface RemoteGpu {
  gpuId: string;
  verificationError: string | undefined;
  /** Chute of the instance that runs on it. */
  chuteId: string | undefined;
  active: boolean;
}

export interface Remote {
  /** Undefined from validators that know no servers. */
  servers(): Promise<RemoteServer[] | undefined>;
  inventory(): Promise<RemoteGpu[]>;
  /** Give a job back; one that is gone counts as done. */
  deleteJob(jobId: string): Promise<void>;
}

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? undefined);
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false);

const serversAnswer = z.object({
  servers: z.array(
    z.object({
      server_id: z.string(),
      name: text,
      ip: text,
      is_tee: flag,
      version: text,
      gpus: z.array(z.object({ uuid: z.string() })).default([]),
    }),
  ),
});
const inventoryAnswer = z.array(
  z.object({ gpu_id: z.string(), verification_error: text, chute_id: text, active: flag }),
);

export function remote({ expect, read, remove }: Calls): Remote {
  async function get<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
    const call: Call = { method: 'GET', path, purpose: 'miner', attempts: idempotentAttempts };
    const answer = await expect(call, (given) => isSuccess(given) || isMissing(given));
    return isMissing(answer) ? undefined : read(call, schema, answer);
  }

  return {
    async servers() {
      const answer = await get('/miner/servers/', serversAnswer);
      return answer?.servers.map(({ server_id, name, ip, is_tee, version, gpus }) => ({
        serverId: server_id,
        name,
        ip,
        tee: is_tee,
        version,
        gpuIds: gpus.map(({ uuid }) => uuid),
      }));
    },
    async inventory() {
      const call: Call = { method: 'GET', path: '/miner/inventory', purpose: 'miner', attempts: idempotentAttempts };
      return read(call, inventoryAnswer, await expect(call)).map((gpu) => ({
        gpuId: gpu.gpu_id,
        verificationError: gpu.verification_error,
        chuteId: gpu.chute_id,
        active: gpu.active,
      }));
    },
    deleteJob: (jobId) => remove(`/miner/jobs/${encodeURIComponent(jobId)}`, 'miner'),
  };
}
