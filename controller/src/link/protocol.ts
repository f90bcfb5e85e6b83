// What travels between controller and Gepetto: JSON in which a Map is written as {"$map": [[key, value], …]}. Both ends are the same
// program, so the view is not parsed again; what asks for something is.

import { z } from 'zod';
import { isGpuId, isServerName, isUuid } from '../domain/ids.ts';
import type { Feeds, Observation } from '../domain/ports.ts';

/** The two halves of what Gepetto sees; a tag is the same as long as the half is. */
export interface View {
  feedsTag: string;
  feeds?: ReadonlyMap<string, Feeds>;
  observationTag: string;
  observation?: Observation;
}

export function encode(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (part instanceof Map ? { $map: [...part] } : part));
}

/** Throws a SyntaxError on what is no JSON. */
export function decode(text: string): unknown {
  return JSON.parse(text, (_key, part: unknown) => {
    const entries = typeof part === 'object' && part !== null && '$map' in part ? part.$map : undefined;
    return Array.isArray(entries) ? new Map(entries) : part;
  });
}

const uuid = z.string().refine(isUuid, 'must be a UUID');
const text = z.string().min(1).max(300);

const deploymentSpec = z.object({
  deploymentId: uuid,
  chuteId: uuid,
  chuteName: z.string(),
  version: text,
  validator: text,
  server: z.string().refine(isServerName, 'must be a server name'),
  gpuIds: z.array(z.string().refine(isGpuId, 'must be 32 hex digits')).min(1).max(8),
  ports: z.array(z.object({ port: z.int(), proto: z.enum(['TCP', 'UDP']), nodePort: z.int() })),
  configId: text.optional(),
  jobId: text.optional(),
  diskGb: z.number().positive(),
  preemptible: z.boolean(),
  decisionId: uuid,
  reason: z.enum(['scale-up', 'bounty', 'rolling-update', 'job']),
});

/** Bodies of the requests, by the last part of their path. */
export const requests = {
  launch: z.object({ specs: z.array(deploymentSpec).max(10_000) }),
  cancel: z.object({ specs: z.array(deploymentSpec).max(10_000) }),
  'delete-instance': z.object({ validator: text, chuteId: text, instanceId: text }),
  'release-job': z.object({ validator: text, jobId: text }),
  chute: z.object({ validator: text, chuteId: text, version: text }),
  refresh: z.object({}),
  'refresh-applications': z.object({ folders: z.array(text).max(100_000), commit: text }),
  report: z.object({
    configCommit: text.optional(),
    held: z.array(z.string()),
    blocked: z.array(z.string()).default([]),
    memory: z.unknown(),
  }),
} as const;

export type RequestName = keyof typeof requests;
export type RequestBody<N extends RequestName> = z.infer<(typeof requests)[N]>;

export const requestNames = Object.keys(requests) as RequestName[];
