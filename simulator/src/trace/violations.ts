// The rules that a strategy can break (trace format, section 5.3).

/** Checked before an action; nothing happens. */
export const refusals = [
  'bad_action',
  'bad_answer',
  'unknown_chute',
  'unknown_deployment',
  'victim_elsewhere',
  'server_not_ready',
  'server_unhealthy',
  'server_locked',
  'job_closed',
  'job_chute_mismatch',
  'job_not_allowed',
  'job_only_chute',
  'validator_mismatch',
  'tee_mismatch',
  'gpu_not_supported',
  'gpus_not_free',
  'disk',
] as const;
export type Refusal = (typeof refusals)[number];

/** Executed all the same. */
export const badRemovals = ['job_removed', 'private_removed', 'young_removed', 'last_instance_removed'] as const;
export type BadRemoval = (typeof badRemovals)[number];

export type ViolationCode = Refusal | BadRemoval;
