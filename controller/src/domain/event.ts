// Events: hints from the validator (relayed) and from the miner itself. A handler must give the same result for a duplicate or an old
// replay, because delivery is at least once. Fields per reason: reference/protocol.md 2 and 3.1.

import { z } from 'zod';

const text = z.string().min(1);

const payloads = {
  gpu_verified: z.object({ gpu_id: text, miner_hotkey: text.optional() }),
  chute_created: z.object({ chute_id: text, version: text, job_only: z.boolean().optional() }),
  chute_updated: z.object({ chute_id: text, version: text }),
  chute_deleted: z.object({ chute_id: text, version: text }),
  bounty_change: z.object({ chute_id: text, bounty: z.number().optional() }),
  image_created: z.object({ image_id: text }),
  image_deleted: z.object({ image_id: text }),
  image_updated: z.object({ chute_ids: z.array(text), image: text, chutes_version: z.string().nullish() }),
  instance_created: z.object({ miner_hotkey: text, config_id: text, instance_id: text }),
  instance_verified: z.object({ miner_hotkey: text, instance_id: text }),
  instance_activated: z.object({ config_id: text, miner_hotkey: text.optional(), instance_id: text.optional() }),
  instance_deleted: z.object({ instance_id: text, config_id: text.nullish(), miner_hotkey: text.optional() }),
  rolling_update: z.object({ chute_id: text, instance_id: text, new_version: text }),
  job_created: z.object({
    chute_id: text,
    job_id: text,
    gpu_count: z.int().optional(),
    compute_multiplier: z.number().optional(),
    disk_gb: z.int().default(10),
    exclude: z.array(text).optional(),
    excluded: z.array(text).optional(),
  }),
  job_deleted: z.object({ job_id: text }),
} as const;

/** The fifteen reasons a validator may broadcast. */
export type EventReason = keyof typeof payloads;

export const eventReasons = Object.keys(payloads) as EventReason[];

/** `validator` is the hotkey of the validator that sent it. */
export type ValidatorEvent = {
  [R in EventReason]: { type: R; validator: string; data: z.infer<(typeof payloads)[R]> };
}[EventReason];

export type MinerEvent = ValidatorEvent | { type: 'server_deleted'; data: { server_id: string } };

/**
 * Read the payload of a `miner_broadcast`. Undefined for a reason that is not on the list (to be warned about and dropped);
 * throws a ZodError for a known reason with a payload that cannot be used.
 */
export function parseValidatorEvent(payload: unknown, validator: string): ValidatorEvent | undefined {
  const { reason, data } = z.object({ reason: text, data: z.unknown() }).parse(payload);
  if (!Object.hasOwn(payloads, reason)) return undefined;
  const type = reason as EventReason;
  return { type, validator, data: payloads[type].parse(data) } as ValidatorEvent;
}
