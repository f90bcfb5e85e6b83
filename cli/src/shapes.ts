// Answers of the miner API and of the validator, as far as they are read here. Unknown fields stay in what is printed: these shapes only
// check, the answer itself is shown (protocol.md 4.1.1, 6.1, 6.2; either generation of the validator).

import { z } from 'zod';
import { CliError } from './errors.ts';

const optionalText = z.string().nullish();
const integer = z.union([z.number(), z.bigint()]);

export const gpuShape = z.looseObject({
  gpu_id: z.string(),
  deployment_id: optionalText,
  model_short_ref: optionalText,
  verified: z.boolean().nullish(),
  device_info: z
    .looseObject({
      name: optionalText,
      memory: integer.nullish(),
      clock_rate: z.number().nullish(),
      processors: z.number().nullish(),
    })
    .nullish(),
});
export type GpuAnswer = z.infer<typeof gpuShape>;

export const deploymentShape = z.looseObject({
  deployment_id: z.string(),
  instance_id: optionalText,
  chute_id: z.string(),
  version: optionalText,
  port: z.number().nullish(),
  active: z.boolean().nullish(),
  stub: z.boolean().nullish(),
  job_id: optionalText,
  created_at: optionalText,
  verified_at: optionalText,
  activated_at: optionalText,
  chute: z.looseObject({ name: optionalText }).nullish(),
  gpus: z.array(z.looseObject({ gpu_id: z.string() })).default([]),
});
export type DeploymentAnswer = z.infer<typeof deploymentShape>;

export const serverShape = z.looseObject({
  server_id: z.string(),
  name: z.string(),
  validator: optionalText,
  ip_address: optionalText,
  agent_api: optionalText,
  status: optionalText,
  created_at: optionalText,
  labels: z.record(z.string(), z.unknown()).nullish(),
  gpu_count: z.number().nullish(),
  cpu_per_gpu: z.number().nullish(),
  memory_per_gpu: z.number().nullish(),
  hourly_cost: z.number().nullish(),
  locked: z.boolean().nullish(),
  is_tee: z.boolean().nullish(),
  gpus: z.array(gpuShape).default([]),
  deployments: z.array(deploymentShape).default([]),
});
export type ServerAnswer = z.infer<typeof serverShape>;

const remoteServerShape = z.looseObject({
  server_id: z.string(),
  name: optionalText,
  ip: optionalText,
  is_tee: z.boolean().nullish(),
  version: optionalText,
  maintenance_pending: z.boolean().nullish(),
  created_at: optionalText,
  updated_at: optionalText,
  gpus: z
    .array(
      z.looseObject({
        uuid: z.string(),
        gpu_identifier: optionalText,
        device_index: z.number().nullish(),
        verified_at: optionalText,
        verification_error: optionalText,
      }),
    )
    .default([]),
});
export type RemoteServer = z.infer<typeof remoteServerShape>;
export const remoteServersShape = z.looseObject({ servers: z.array(remoteServerShape) });

export const remoteGpuShape = z.looseObject({
  gpu_id: z.string(),
  last_verified_at: optionalText,
  verification_error: optionalText,
  active: z.boolean().nullish(),
  chute_id: optionalText,
  chute_name: optionalText,
});
export type RemoteGpu = z.infer<typeof remoteGpuShape>;

export const remoteNodeShape = z.looseObject({
  uuid: z.string(),
  gpu_identifier: optionalText,
  device_index: z.number().nullish(),
  server_id: optionalText,
  verified_at: optionalText,
  verification_error: optionalText,
});
export type RemoteNode = z.infer<typeof remoteNodeShape>;

/** Parse an answer; E-INTERNAL names what does not fit. */
export function readAnswer<T>(shape: z.ZodType<T>, answer: unknown, what: string): T {
  const read = shape.safeParse(answer);
  if (read.success) return read.data;
  const { path, message } = read.error.issues[0] ?? { path: [], message: 'unreadable' };
  throw new CliError('E-INTERNAL', `${what} cannot be read: ${path.join('.') || 'answer'}: ${message}`);
}
