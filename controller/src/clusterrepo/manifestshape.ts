// The shape of a rendered deployment file as far as it is read back: one Service, one Job, perhaps a ConfigMap (kubernetes.md 3.1-3.4).

import { z } from 'zod';
import { isGpuId, isServerName, isUuid } from '../domain/ids.ts';

export const annotationPrefix = 'chutes-miner.io/';

const uuid = z.string().refine(isUuid, 'must be a UUID');
const quantity = (pattern: RegExp) =>
  z.union([z.string(), z.number()]).transform(String).pipe(z.string().regex(pattern));
const gibibytes = quantity(/^\d+Gi$/).transform((text) => Number.parseInt(text, 10));
const cpus = quantity(/^\d+m?$/).transform((text) => Number.parseInt(text, 10) / (text.endsWith('m') ? 1000 : 1));

const labels = z.object({
  'chutes/deployment-id': uuid,
  'chutes/chute': z.literal('true'),
  'chutes/chute-id': uuid,
  'chutes/version': z.string().min(1).max(63),
});
const jobLabels = labels.extend({ 'chutes/config-id': uuid.optional(), 'chutes/job-id': uuid.optional() });

const annotations = z.object({
  [`${annotationPrefix}decision-id`]: z.string().min(1),
  [`${annotationPrefix}chute-name`]: z.string(),
  [`${annotationPrefix}validator`]: z.string().min(1),
  [`${annotationPrefix}server`]: z.string().refine(isServerName, 'must be a server name'),
  [`${annotationPrefix}reason`]: z.enum(['scale-up', 'bounty', 'rolling-update', 'job']),
  [`${annotationPrefix}gpu-ids`]: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.string().refine(isGpuId, 'must be 32 hex digits'))),
  [`${annotationPrefix}disk-gb`]: z
    .string()
    .regex(/^\d{1,6}$/)
    .transform(Number),
  [`${annotationPrefix}preemptible`]: z.enum(['true', 'false']).transform((text) => text === 'true'),
});

const env = z.object({
  name: z.string(),
  value: z.string().optional(),
  valueFrom: z.object({ secretKeyRef: z.object({ name: z.string(), key: z.string() }).optional() }).optional(),
});

const container = z.object({ name: z.string(), image: z.string().min(1), env: z.array(env).default([]) });

const chuteContainer = container.extend({
  resources: z.object({ limits: z.object({ cpu: cpus, memory: gibibytes, 'ephemeral-storage': gibibytes }) }),
});

const port = z.object({
  port: z.int().min(1).max(65535),
  nodePort: z.int(),
  protocol: z.enum(['TCP', 'UDP']).default('TCP'),
});

export const serviceShape = z.object({
  metadata: z.object({ name: z.string(), namespace: z.literal('chutes'), labels }),
  spec: z.object({
    selector: z.strictObject({ 'chutes/deployment-id': uuid }),
    ports: z.array(port).min(1),
  }),
});

export const jobShape = z.object({
  metadata: z.object({ name: z.string(), namespace: z.literal('chutes'), labels: jobLabels, annotations }),
  spec: z.object({
    template: z.object({
      metadata: z.object({ labels: jobLabels }),
      spec: z.object({
        nodeName: z.string(),
        initContainers: z.array(container).default([]),
        containers: z.tuple([chuteContainer], 'must be exactly one container'),
      }),
    }),
  }),
});

export const configMapShape = z.object({ metadata: z.object({ name: z.string(), namespace: z.literal('chutes') }) });

export type ServiceShape = z.infer<typeof serviceShape>;
export type JobShape = z.infer<typeof jobShape>;
