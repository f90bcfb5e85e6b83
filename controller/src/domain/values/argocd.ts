// Section `argocd`: how Argo CD applies what is on branch `live`, and what it tells people.

import { z } from 'zod';

const url = z
  .string()
  .regex(/^https?:\/\/[^\s/@]+(\/\S*)?$/, 'must be an http or https address without user and token');
const processors = (count: number) => z.int().min(1).max(200).default(count);

const notifications = z
  .strictObject({
    service: z
      .enum(['none', 'slack', 'webhook'])
      .default('none')
      .describe(
        'Where to: slack and webhook read key slack-token or webhook-url of Secret argocd-notifications-secret; none: nowhere.',
      ),
    channel: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,80}$/, 'must be the name of a channel, without #')
      .default('miner')
      .describe('Channel of slack.'),
    outOfSyncMinutes: z
      .int()
      .min(1)
      .max(1440)
      .default(5)
      .describe('Minutes after a sync that what differs from git, or cannot be compared with it, is told.'),
  })
  .prefault({})
  .describe('What Argo CD tells people: out of sync, degraded, sync failed.');

export const argocdValues = z
  .strictObject({
    namespace: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)
      .default('argocd')
      .describe('Namespace of Argo CD in the control cluster.'),
    selfHeal: z.boolean().default(true).describe('Put back what was changed by hand.'),
    retryLimit: z.int().min(0).max(100).default(10).describe('Times that a failed sync is tried again.'),
    repositoryUrl: url
      .optional()
      .describe(
        'Address at which Argo CD reads the cluster repository, if it is another one than git.url or that of the embedded server.',
      ),
    refreshSeconds: z
      .int()
      .min(30)
      .max(86_400)
      .default(180)
      .describe('Seconds after which Argo CD asks for new commits by itself.'),
    statusProcessors: processors(10).describe('Applications compared at a time.'),
    operationProcessors: processors(10).describe('Applications synced at a time.'),
    showPods: z
      .boolean()
      .default(true)
      .describe("Follow pods too, so that a chute's pod shows why it does not start; costs Argo CD work and memory."),
    launchMinutes: z
      .int()
      .min(1)
      .max(1440)
      .default(20)
      .describe('Minutes after its start that a chute which is not ready is shown as degraded.'),
    links: z
      .record(z.string().regex(/^[a-z][a-z0-9-]{0,40}$/, 'must be lower-case letters, digits and dashes'), url)
      .default({})
      .describe('Links of each Application of a server, by name; {server} stands for the name of the server.'),
    notifications,
  })
  .prefault({})
  .describe('Argo CD.');
