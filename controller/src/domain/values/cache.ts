// Section `cache`: the model cache of GPU servers, for all of them and for one.

import { z } from 'zod';

const maxAgeDays = z.int().min(1).describe('Days after which what was not used goes.');
const maxSizeGb = z.int().min(1).describe('GB above which the least recently used goes.');

export const cacheValues = z
  .strictObject({ maxAgeDays: maxAgeDays.default(30), maxSizeGb: maxSizeGb.default(500) })
  .prefault({})
  .describe('Model cache of every GPU server.');

/** What one server has different. */
export const serverCacheValues = z
  .strictObject({ maxAgeDays: maxAgeDays.optional(), maxSizeGb: maxSizeGb.optional() })
  .optional()
  .describe('Model cache of this server, where it differs from miner.yaml.');
