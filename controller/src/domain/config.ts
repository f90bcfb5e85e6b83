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
import { registryModes, registryValues } from './values/registry.ts';
import { secretValues } from './values/secrets.ts';
import { agentValues, auditValues, controllerValues, gepettoValues } from './values/workloads.ts';

const hotkey = z
  .string()
  .regex(/^[1-9A-HJ-NP-Za-km-z]{47,48}$/, 'must be an ss58 address')
  .describe('An ss58 address.');
const url = (schemes: string) => z.string().regex(new RegExp(`^(${schemes})://[^\\s/]+`), `must be a URL (${schemes})`);

export const validatorConfig = z.strictObject({
  hotkey,
  registry: z.string().min(1).describe('Host, and port if it is not 443, of its image registry.'),
  api: url('https?').describe('Its API.'),
  socket: url('wss?|https?').describe('Its event socket.'),
});
export type ValidatorConfig = z.infer<typeof validatorConfig>;

const minerFields = z.strictObject({
  /** The miner's hotkey address; must be that of the hotkey file the controller runs with. */
  hotkey,
  validators: z.array(validatorConfig).min(1).describe('Validators that are worked for.'),
  policy: policyConfig.prefault({}).describe('What Gepetto may do.'),
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
  shutdownSeconds: z.int().min(0).max(600).default(180).describe('Seconds a chute gets to shut down.'),
});
/** Two Services of a cluster cannot have one node port: the second would be refused. */
export const minerConfig = minerFields.superRefine(({ controller, agent, registry, monitoring }, context) => {
  const clusters: [path: string[], port: number][][] = [
    [
      [['controller', 'nodePort'], controller.nodePort],
      [['monitoring', 'grafana', 'nodePort'], monitoring.grafana.nodePort],
    ],
    [
      [['agent', 'nodePort'], agent.nodePort],
      [['registry', 'port'], registry.port],
      [['monitoring', 'member', 'nodePort'], monitoring.member.nodePort],
    ],
  ];
  for (const parts of clusters)
    for (const [index, [path, port]] of parts.entries()) {
      const [other] = parts.slice(0, index).find(([, taken]) => taken === port) ?? [];
      if (other)
        context.addIssue({ code: 'custom', path, message: `${other.join('.')} has node port ${port} already` });
    }
});
export type MinerConfig = z.infer<typeof minerConfig>;

export const serverConfig = z.strictObject({
  name: z
    .string()
    .refine(isServerName, 'must be lower-case letters, digits and dashes, at most 63 characters')
    .describe('Node name, kubeconfig context and file name in one.'),
  validator: hotkey.describe('Validator it works for, by hotkey.'),
  hourlyCost: z.number().min(0).max(1000).describe('USD per GPU and hour.'),
  gpuShortRef: z
    .string()
    .regex(/^[a-z0-9_]+$/, 'must be a short ref such as h100_sxm')
    .describe('Model of its GPUs, as the validator names it.'),
  agentApi: url('https?').describe('URL of its agent; its Prometheus has the same host.'),
  locked: z.boolean().default(false).describe('Nothing new is deployed on it.'),
  netMbps: z.number().positive().optional().describe('What it downloads at, Mbit/s; estimated if left out.'),
  diskReadGbps: z.number().positive().optional().describe('What it reads from its disk, GB/s; estimated if left out.'),
  cache: serverCacheValues,
  registryMode: z
    .enum(registryModes)
    .optional()
    .describe('How its chute images are pulled, where it differs from registry.mode of miner.yaml.'),
});
export type ServerConfig = z.infer<typeof serverConfig>;

type Own = Partial<Pick<ServerConfig, 'cache' | 'registryMode'>>;

/** The miner's configuration as it holds for one server. */
export function configFor(config: MinerConfig, { cache = {}, registryMode }: Own = {}): MinerConfig {
  const { maxAgeDays, maxSizeGb, minFreeGb } = config.cache;
  return {
    ...config,
    registry: { ...config.registry, mode: registryMode ?? config.registry.mode },
    cache: {
      ...config.cache,
      maxAgeDays: cache.maxAgeDays ?? maxAgeDays,
      maxSizeGb: cache.maxSizeGb ?? maxSizeGb,
      minFreeGb: cache.minFreeGb ?? minFreeGb,
    },
  };
}

/** Registry hosts under which a validator's chute images may be asked for: that of the node's proxy, and the validator's own. */
export function chuteRegistries(
  hotkey: string,
  { validators, registry }: MinerConfig,
): { proxy: string; direct: string | undefined } {
  return {
    // 127.0.0.1: the proxy of the node answers, and signs the pull.
    proxy: `${hotkey.toLowerCase()}.localregistry.chutes.ai:${registry.port}`,
    direct: validators.find((one) => one.hotkey === hotkey)?.registry,
  };
}
