// Section `redis`: the event stream of the control plane.

import { z } from 'zod';
import { placement, resources, storage } from './common.ts';

/** Set by the chart itself, or made so that the password shows. */
const ours = new Set(['requirepass', 'masterauth', 'user', 'aclfile', 'include', 'dir', 'port', 'bind', 'daemonize']);

export const redisValues = z
  .strictObject({
    storage: z
      .strictObject({
        kind: z
          .enum(['claim', 'host', 'none'])
          .default('claim')
          .describe(
            'claim: a volume claim; host: folder /var/snap/redis-data of the node, as upstream; none: lost with the pod.',
          ),
        ...storage('2Gi'),
      })
      .prefault({})
      .describe('Where the stream is kept.'),
    settings: z
      .record(
        z
          .string()
          .regex(/^[a-z-]+$/, 'must be a setting of redis.conf')
          .refine((name) => !ours.has(name), 'is set by the chart'),
        z.string().regex(/^[^\n\r]*$/, 'must be one line'),
      )
      .default({})
      .describe('More lines of redis.conf, by name.'),
    resources: resources({ cpu: '250m', memory: '512Mi' }, { cpu: '1', memory: '1Gi' }),
    placement,
  })
  .prefault({})
  .describe('Redis of the control plane.');
