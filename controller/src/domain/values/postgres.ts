// Section `postgres`: the database of the control plane.

import { z } from 'zod';
import { placement, resources, storage } from './common.ts';

const identifier = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'must be lower-case letters, digits and underscores');

export const postgresValues = z
  .strictObject({
    database: identifier.default('chutes').describe('Name of the database.'),
    user: identifier.default('chutes').describe('User of the database.'),
    storage: z
      .strictObject({
        kind: z
          .enum(['claim', 'host', 'none'])
          .default('claim')
          .describe(
            'claim: a volume claim; host: folder /var/snap/postgres-data of the node, as upstream; none: lost with the pod.',
          ),
        ...storage('20Gi'),
      })
      .prefault({})
      .describe('Where the data are kept.'),
    resources: resources({ cpu: '500m', memory: '1Gi' }, { cpu: '1', memory: '2Gi' }),
    placement,
    annotations: z.record(z.string(), z.string()).default({}).describe('Annotations of the Deployment.'),
  })
  .prefault({})
  .describe('PostgreSQL of the control plane.');
