// The Secrets that must be there before anything is applied, by name. None is ever rendered: they are made by whoever sets a cluster up.

import { z } from 'zod';
import { secretKey } from './common.ts';

const objectName = z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'must be the name of a Secret');

export const secretValues = z
  .strictObject({
    hotkey: secretKey(
      'miner-credentials',
      'hotkey.json',
      'Wallet file of the hotkey; in namespace chutes of the control cluster and chutes-system of every GPU server.',
    ),
    postgres: secretKey('postgres-secret', 'postgres-password', 'Password of the database: letters and digits.'),
    redis: secretKey('redis-secret', 'redis-password', 'Password of Redis: letters and digits.'),
    link: secretKey('link-token', 'token', 'Token that controller and Gepetto share: one word.'),
    imagePull: z
      .array(objectName)
      .default([])
      .describe('Secrets of type kubernetes.io/dockerconfigjson to pull images with.'),
  })
  .prefault({})
  .describe('Secrets, by name; their content is never in git.');
