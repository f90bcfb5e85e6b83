// Section `git`: the host of the cluster repository.

import { z } from 'zod';
import { quantity, secretKey } from './common.ts';

export const gitValues = z
  .strictObject({
    mode: z
      .enum(['embedded', 'external'])
      .default('embedded')
      .describe('embedded: a git server in the control cluster; external: a host of yours, at `url`.'),
    url: z
      .string()
      .regex(/^(https?|ssh):\/\/\S+$|^[\w.-]+@[\w.-]+:\S+$/, 'must be an http, https or ssh address')
      .optional()
      .describe(
        'Address of the cluster repository; needed for external, and for embedded the address within the cluster.',
      ),
    credentials: secretKey('git-credentials', 'password', 'Password or token of the git host, for user `user`.'),
    user: z
      .string()
      .regex(/^[\w.-]{1,64}$/)
      .default('miner')
      .describe('User name at the git host.'),
    size: quantity.default('10Gi').describe('Size of the volume claim of the embedded server.'),
  })
  .refine(({ mode, url }) => mode === 'embedded' || url !== undefined, {
    path: ['url'],
    message: 'is needed when mode is external',
  })
  .prefault({})
  .describe('Host of the cluster repository.');
