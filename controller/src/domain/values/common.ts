// Shapes that several sections of miner.yaml share: Kubernetes quantities, resources, placement, node ports, Secrets by name.

import { z } from 'zod';
import { reservedNodePorts, reservedNodePortsText } from '../nodeport.ts';

const quantityText = /^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/;
const objectName = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const labelKey = /^([a-z0-9.-]+\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;

/** A quantity as Kubernetes writes it; quoted in YAML when it is a plain number. */
export const quantity = z.string().regex(quantityText, 'must be a quantity such as "1", 500m or 2Gi');

interface Amounts {
  cpu: string;
  memory: string;
}

function amounts({ cpu, memory }: Amounts, what: string) {
  return z
    .strictObject({
      cpu: quantity.describe(`CPUs ${what}.`).default(cpu),
      memory: quantity.describe(`Memory ${what}.`).default(memory),
    })
    .prefault({});
}

/** What each container has reserved, and where it is stopped. */
export function resources(requests: Amounts, limits: Amounts) {
  return z
    .strictObject({
      requests: amounts(requests, 'reserved for it').describe('Reserved for the container.'),
      limits: amounts(limits, 'that it may use at most').describe('The container gets no more.'),
    })
    .prefault({})
    .describe('CPU and memory of the container.');
}
export type Resources = z.infer<ReturnType<typeof resources>>;

const toleration = z.strictObject({
  key: z.string().regex(labelKey).optional().describe('Key of the taint; every key if left out.'),
  operator: z.enum(['Exists', 'Equal']).optional().describe('How `value` is compared.'),
  value: z.string().optional().describe('Value of the taint.'),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional().describe('Effect of the taint.'),
});

/** Where a part of the control plane may run. */
export const placement = z
  .strictObject({
    avoidGpuNodes: z.boolean().default(true).describe('Keep off nodes that are labelled nvidia.com/gpu.present=true.'),
    nodeSelector: z
      .record(z.string().regex(labelKey), z.string().max(63))
      .default({})
      .describe('Labels that the node must have, for example kubernetes.io/hostname.'),
    tolerations: z.array(toleration).default([]).describe('Taints of nodes that are put up with.'),
  })
  .prefault({})
  .describe('Nodes of the control cluster that it may run on.');
export type Placement = z.infer<typeof placement>;

export function nodePort(port: number) {
  return z
    .int()
    .refine((value) => reservedNodePorts.has(value), `must be a node port that no chute gets: ${reservedNodePortsText}`)
    .default(port)
    .describe(`Node port: ${reservedNodePortsText}.`);
}

export function cron(schedule: string) {
  return z
    .string()
    .regex(/^(\S+\s){4}\S+$/, 'must be five fields of cron')
    .default(schedule)
    .describe('When it runs, as cron.');
}

/** A key of a Secret that exists already; nothing but its name is ever written here. */
export function secretKey(name: string, key: string, content: string) {
  return z
    .strictObject({
      name: z.string().regex(objectName, 'must be the name of a Secret').default(name).describe('Name of the Secret.'),
      key: z
        .string()
        .regex(/^[A-Za-z0-9._-]{1,253}$/, 'must be a key of the Secret')
        .default(key)
        .describe('Key within it.'),
    })
    .prefault({})
    .describe(content);
}

/** A Secret whose keys are fixed. */
export function secretName(name: string, content: string) {
  return z.string().regex(objectName, 'must be the name of a Secret').default(name).describe(content);
}
export type SecretKey = z.infer<ReturnType<typeof secretKey>>;

/** Where data are kept. */
export function storage(size: string) {
  return {
    size: quantity.default(size).describe('Size of the volume claim.'),
    storageClass: z
      .string()
      .regex(objectName)
      .optional()
      .describe("Storage class of the claim; the cluster's default if left out."),
  };
}
