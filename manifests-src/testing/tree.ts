// The tree of a small miner as objects, for tests that hold whatever is rendered against a rule.

import { type MinerConfig, minerConfig, type ServerConfig, serverConfig } from '@miner/controller/domain/config.ts';
import { parseAllDocuments } from 'yaml';
import { config as plain } from '../fixtures.ts';
import { renderTree } from '../render.ts';

export interface Container {
  name: string;
  image: string;
  imagePullPolicy: string;
  command?: string[];
  args?: string[];
  env?: { name: string; value?: string; valueFrom?: { secretKeyRef?: { name: string; key: string } } }[];
  ports?: { name: string; containerPort: number }[];
  resources: { requests?: Record<string, string>; limits?: Record<string, string> };
  securityContext: Record<string, unknown>;
  startupProbe?: unknown;
  readinessProbe?: unknown;
  livenessProbe?: unknown;
  volumeMounts?: { name: string; mountPath: string }[];
}

export interface Pod {
  serviceAccountName?: string;
  automountServiceAccountToken?: boolean;
  priorityClassName?: string;
  nodeSelector?: Record<string, string>;
  securityContext: Record<string, unknown>;
  initContainers?: Container[];
  containers: Container[];
  volumes?: { name: string; hostPath?: { path: string }; secret?: { secretName: string } }[];
}

interface Template {
  metadata: { labels: Record<string, string>; annotations?: Record<string, string> };
  spec: Pod;
}

export interface PolicyRule {
  ports?: { port: number; endPort?: number; protocol: string }[];
  from?: Peer[];
  to?: Peer[];
}
export interface Peer {
  ipBlock?: { cidr: string; except?: string[] };
  podSelector?: { matchLabels?: Record<string, string> };
  namespaceSelector?: { matchLabels?: Record<string, string> };
}

export interface Manifest {
  path: string;
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  data?: Record<string, string>;
  rules?: { apiGroups: string[]; resources: string[]; verbs: string[]; resourceNames?: string[] }[];
  roleRef?: { kind: string; name: string };
  subjects?: { kind: string; name: string; namespace?: string }[];
  spec: {
    replicas?: number;
    strategy?: { type: string };
    type?: string;
    ports?: { name: string; port: number; nodePort?: number; targetPort?: unknown }[];
    selector?: Record<string, string> & { matchLabels?: Record<string, string> };
    externalTrafficPolicy?: string;
    internalTrafficPolicy?: string;
    podSelector?: { matchLabels?: Record<string, string>; matchExpressions?: unknown };
    policyTypes?: string[];
    ingress?: PolicyRule[];
    egress?: PolicyRule[];
    maxUnavailable?: number;
    template?: Template;
    jobTemplate?: { spec: { template: Template } };
  };
}

export const { hotkey, validators } = plain;

/** A valid miner.yaml with these sections. */
export function configWith(sections: Record<string, unknown> = {}): MinerConfig {
  return minerConfig.parse({ hotkey, validators, ...sections });
}

export function serverNamed(name: string, more: Record<string, unknown> = {}): ServerConfig {
  const validator = validators[0]?.hotkey;
  const agentApi = `http://${name}.example:32000`;
  return serverConfig.parse({ name, validator, hourlyCost: 1.5, gpuShortRef: 'h100_sxm', agentApi, ...more });
}

export function serversNamed(...names: string[]): Map<string, ServerConfig> {
  return new Map(names.map((name) => [name, serverNamed(name)]));
}

/** Every object of the tree. */
export function objectsOf(config = configWith(), servers = serversNamed('gpu-01')): Manifest[] {
  return [...renderTree(config, servers)].flatMap(([path, text]) =>
    parseAllDocuments(text).map((document) => ({ path, ...(document.toJSON() as Omit<Manifest, 'path'>) })),
  );
}

export function templateOf({ spec }: Manifest): Template | undefined {
  return spec?.template ?? spec?.jobTemplate?.spec.template;
}

/** What runs: Deployments, DaemonSets, CronJobs and so on. */
export function workloadsOf(objects: readonly Manifest[]): { manifest: Manifest; template: Template; pod: Pod }[] {
  return objects.flatMap((manifest) => {
    const template = templateOf(manifest);
    return template ? [{ manifest, template, pod: template.spec }] : [];
  });
}

export function containersOf(pod: Pod): Container[] {
  return [...(pod.initContainers ?? []), ...pod.containers];
}

/** Throws when there is not exactly one. */
export function the(objects: readonly Manifest[], kind: string, name: string, path = ''): Manifest {
  const found = objects.filter((one) => one.kind === kind && one.metadata.name === name && one.path.startsWith(path));
  const [only] = found;
  if (!only || found.length > 1)
    throw new Error(`${found.length} objects are ${kind} ${name} in ${path || 'the tree'}`);
  return only;
}
