// For tests: one broadcast of each reason (protocol.md 2).

import type { EventReason } from '../../domain/event.ts';

/** What a validator sends for each reason, with all fields that the reference lists. */
export const broadcasts: Record<EventReason, Record<string, unknown>> = {
  gpu_verified: { gpu_id: 'g', miner_hotkey: 'm' },
  chute_created: { chute_id: 'c', version: 'v', job_only: false },
  chute_updated: { chute_id: 'c', version: 'v', job_only: true },
  chute_deleted: { chute_id: 'c', version: 'v' },
  bounty_change: { chute_id: 'c', bounty: 160, effective_multiplier: 1.5, bounty_boost: 2, urgency: 'cold' },
  image_created: { image_id: 'i' },
  image_deleted: { image_id: 'i' },
  image_updated: {
    image_id: 'i',
    short_tag: 't',
    patch_version: 'p',
    chutes_version: '0.3.11.rc3',
    chute_ids: ['c'],
    image: 'u/n:t-p',
  },
  instance_created: {
    chute_id: 'c',
    gpu_count: 1,
    gpu_model_name: 'l40s',
    miner_hotkey: 'm',
    instance_id: 'n',
    config_id: 'k',
    management_mode: 'miner',
  },
  instance_verified: { instance_id: 'n', miner_hotkey: 'm' },
  instance_activated: { chute_id: 'c', miner_hotkey: 'm', instance_id: 'n', config_id: 'k' },
  instance_deleted: { chute_id: 'c', miner_hotkey: 'm', instance_id: 'n', config_id: null },
  rolling_update: {
    chute_id: 'c',
    instance_id: 'n',
    miner_hotkey: 'm',
    old_version: 'v',
    new_version: 'w',
    reason: 'r',
  },
  job_created: { job_id: 'j', method: 'run', chute_id: 'c', image_id: 'i', gpu_count: 1, compute_multiplier: 1 },
  job_deleted: { instance_id: 'n', job_id: 'j' },
};
