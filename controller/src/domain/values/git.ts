// Section `git`: the host of the cluster repository.

import { z } from 'zod';
import { cron, placement, resources, secretKey, storage } from './common.ts';

const server = z
  .strictObject({
    storage: z.strictObject(storage('10Gi')).prefault({}).describe('Where the repository is kept.'),
    resources: resources({ cpu: '100m', memory: '128Mi' }, { cpu: '2', memory: '1Gi' }),
    placement,
    backup: z
      .strictObject({
        enabled: z.boolean().default(true).describe('Copy the repository regularly.'),
        schedule: cron('23 3 * * *'),
        keep: z.int().min(1).max(1000).default(14).describe('Copies that are kept.'),
        storage: z.strictObject(storage('10Gi')).prefault({}).describe('Where the copies are kept.'),
        resources: resources({ cpu: '100m', memory: '128Mi' }, { cpu: '1', memory: '1Gi' }),
      })
      .prefault({})
      .describe('Copies of the whole repository, one file each.'),
  })
  .prefault({})
  .describe('The embedded git server; with mode embedded only.');

export const gitValues = z
  .strictObject({
    mode: z
      .enum(['embedded', 'external'])
      .default('embedded')
      .describe('embedded: a git server in the control cluster; external: a host of yours, at `url`.'),
    url: z
      .string()
      .regex(/^https?:\/\/[^\s/@]+\/\S+$/, 'must be an http or https address without user and token')
      .optional()
      .describe('Address of the cluster repository; with mode external only.'),
    credentials: secretKey(
      'git-credentials',
      'credentials',
      'User and token at the git host, as user:token; in namespace chutes of the control cluster. The embedded server lets these push, and those of key readers only fetch.',
    ),
    server,
  })
  .refine(({ mode, url }) => mode === 'embedded' || url !== undefined, {
    path: ['url'],
    message: 'is needed when mode is external',
  })
  .refine(({ mode, url }) => mode === 'external' || url === undefined, {
    path: ['url'],
    message: 'is the address of a host of yours: set mode to external, or leave it out',
  })
  .prefault({})
  .describe('Host of the cluster repository.');
