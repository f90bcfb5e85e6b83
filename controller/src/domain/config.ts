// What people write on branch `main`: miner.yaml and servers/<name>.yaml. Unknown fields are errors. Reading the files, with line
// numbers in the messages, is clusterrepo's work; this is only the shape, the defaults and the rules.

import { z } from 'zod';
import { isServerName } from './ids.ts';
import { policyConfig } from './policy.ts';
import { argocdValues } from './values/argocd.ts';
import { cacheValues, serverCacheValues } from './values/cache.ts';
import { gitValues } from './values/git.ts';
import { imageValues } from './values/images.ts';
import { monitoringValues } from './values/monitoring.ts';
import { postgresValues } from './values/postgres.ts';
import { redisValues } from './values/redis.ts';
import { registryValues } from './values/registry.ts';
import { secretValues } from './values/secrets.ts';
import { agentValues, auditValues, controllerValues, gepettoValues } from './values/workloads.ts';

const hotkey = z.string().regex(/^[1-9A-HJ-NP-Za-km-z]{47,48}$/, 'must be an ss58 address');
const url = (schemes: string) => z.string().regex(new RegExp(`^(${schemes})://[^\\s/]+`), `must be a URL (${schemes})`);

export const validatorConfig = z.strictObject({
  hotkey,
  registry: z.string().min(1),
  api: url('https?'),
  socket: url('wss?|https?'),
});
export type ValidatorConfig = z.infer<typeof validatorConfig>;

export const minerConfig = z.strictObject({
  /** The miner's hotkey address; must be that of the hotkey file the controller runs with. */
  hotkey,
  validators: z.array(validatorConfig).min(1),
  policy: policyConfig.prefault({}),
  registry: registryValues,
  cache: cacheValues,
  images: imageValues,
  secrets: secretValues,
  controller: controllerValues,
  gepetto: gepettoValues,
  agent: agentValues,
  audit: auditValues,
  postgres: postgresValues,
  redis: redisValues,
  git: gitValues,
  argocd: argocdValues,
  monitoring: monitoringValues,
  /** Seconds a chute gets to shut down. */
  shutdownSeconds: z.int().min(0).max(600).default(180),
});
export type MinerConfig = z.infer<typeof minerConfig>;

export const serverConfig = z.strictObject({
  /** Node name, kubeconfig context and file name in one. */
  name: z.string().refine(isServerName, 'must be lower-case letters, digits and dashes, at most 63 characters'),
  validator: hotkey,
  /** USD per GPU and hour. */
  hourlyCost: z.number().min(0).max(1000),
  gpuShortRef: z.string().regex(/^[a-z0-9_]+$/, 'must be a short ref such as h100_sxm'),
  agentApi: url('https?'),
  locked: z.boolean().default(false),
  /** What it downloads at, Mbit/s, and reads from its disk, GB/s; estimated where nobody says. */
  netMbps: z.number().positive().optional(),
  diskReadGbps: z.number().positive().optional(),
  cache: serverCacheValues,
});
export type ServerConfig = z.infer<typeof serverConfig>;
