// Section `cache`: the model cache of GPU servers, for all of them and for one.

import { z } from 'zod';
import { cron, resources } from './common.ts';

const maxAgeDays = z.int().min(1).describe('Days after which what was not used goes.');
const minFreeGb = z.int().min(0).describe('GB that are kept free on the disk of the cache.');
const maxSizeGb = z.int().min(1).describe('GB above which the least recently used goes.');

export const cacheValues = z
  .strictObject({
    maxAgeDays: maxAgeDays.default(30),
    maxSizeGb: maxSizeGb.default(500),
    minFreeGb: minFreeGb.default(0),
    schedule: cron('17 */6 * * *').describe(
      'When the cleaner of each server runs, as cron; it also runs before each chute.',
    ),
    dryRun: z
      .boolean()
      .default(false)
      .describe(
        'Nothing is removed: the cleaner of each server, and the one before each chute, only tell what would go.',
      ),
    resources: resources({ cpu: '100m', memory: '256Mi' }, { cpu: '1', memory: '1Gi' }),
  })
  .prefault({})
  .describe('Model cache of every GPU server.');

/** What one server has different. */
export const serverCacheValues = z
  .strictObject({ maxAgeDays: maxAgeDays.optional(), maxSizeGb: maxSizeGb.optional(), minFreeGb: minFreeGb.optional() })
  .optional()
  .describe('Model cache of this server, where it differs from miner.yaml.');
