// Section `argocd`: how Argo CD applies what is on branch `live`.

import { z } from 'zod';

export const argocdValues = z
  .strictObject({
    namespace: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)
      .default('argocd')
      .describe('Namespace of Argo CD in the control cluster.'),
    selfHeal: z.boolean().default(true).describe('Put back what was changed by hand.'),
    retryLimit: z.int().min(0).max(100).default(10).describe('Times that a failed sync is tried again.'),
  })
  .prefault({})
  .describe('Argo CD.');
