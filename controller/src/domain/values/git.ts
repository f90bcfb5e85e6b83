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
      .regex(/^https?:\/\/[^\s/@]+\/\S+$/, 'must be an http or https address without user and token')
      .optional()
      .describe('Address of the cluster repository. Without it controller and Gepetto share a repository on a volume.'),
    credentials: secretKey(
      'git-credentials',
      'credentials',
      'User and token at the git host, as user:token; in namespace chutes of the control cluster.',
    ),
    size: quantity.default('10Gi').describe('Size of the volume claim of the embedded server.'),
  })
  .refine(({ mode, url }) => mode === 'embedded' || url !== undefined, {
    path: ['url'],
    message: 'is needed when mode is external',
  })
  .prefault({})
  .describe('Host of the cluster repository.');
