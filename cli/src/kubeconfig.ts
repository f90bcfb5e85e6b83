// Kubeconfigs as data: checked, picked apart, merged. What differs under a name that is taken is a conflict; what is equal is none.

import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { CliError } from './errors.ts';

const named = z.looseObject({ name: z.string().min(1) });
const contextEntry = z.looseObject({
  name: z.string().min(1),
  context: z.looseObject({ cluster: z.string(), user: z.string() }),
});

const kubeconfigShape = z.looseObject({
  clusters: z
    .array(named)
    .nullish()
    .transform((entries) => entries ?? []),
  users: z
    .array(named)
    .nullish()
    .transform((entries) => entries ?? []),
  contexts: z
    .array(contextEntry)
    .nullish()
    .transform((entries) => entries ?? []),
  'current-context': z.string().nullish(),
});
export type Kubeconfig = z.infer<typeof kubeconfigShape>;

const kinds = ['clusters', 'users', 'contexts'] as const;

function kubeconfigError(message: string, hint?: string): CliError {
  return new CliError('E-KUBECONFIG', message, { hint });
}

/** Check YAML or an object. `where` names it in errors; nothing of its content does. */
export async function parseKubeconfig(source: unknown, where: string): Promise<Kubeconfig> {
  let value = source;
  if (typeof source === 'string') {
    const { parse } = await import('yaml');
    try {
      value = parse(source);
    } catch {
      throw kubeconfigError(`${where} is not YAML`);
    }
  }
  const read = kubeconfigShape.safeParse(value ?? {});
  if (!read.success) {
    const { path = [], message = '' } = read.error.issues[0] ?? {};
    throw kubeconfigError(`${where} is no kubeconfig: ${path.join('.') || 'top level'}: ${message}`);
  }
  const { clusters, users, contexts } = read.data;
  for (const { name, context } of contexts) {
    if (!clusters.some((one) => one.name === context.cluster)) {
      throw kubeconfigError(`${where}: context ${name} names the cluster ${context.cluster}, which is not in it`);
    }
    if (!users.some((one) => one.name === context.user)) {
      throw kubeconfigError(`${where}: context ${name} names the user ${context.user}, which is not in it`);
    }
  }
  return read.data;
}

const programs = ['exec', 'auth-provider'];

/** What comes over the network may hold addresses, certificates and keys, but nothing that runs a program or reads a file here. */
export async function parseForeign(source: unknown, where: string): Promise<Kubeconfig> {
  const config = await parseKubeconfig(source, where);
  for (const kind of ['clusters', 'users'] as const) {
    for (const entry of config[kind]) {
      const fields = Object.keys((entry[kind.slice(0, -1)] as object | null | undefined) ?? {});
      const refused = fields.find(
        (field) =>
          programs.includes(field) ||
          /file$/i.test(field) ||
          /^(client-certificate|client-key|certificate-authority)$/.test(field),
      );
      if (refused)
        throw kubeconfigError(
          `${where}: ${kind.slice(0, -1)} ${entry.name} has the field ${refused}, which is refused`,
        );
    }
  }
  return config;
}

/** The one context with its cluster and user. */
export function pickContext(config: Kubeconfig, name: string, where: string): Kubeconfig {
  const entry = config.contexts.find((one) => one.name === name);
  if (!entry) {
    const known = config.contexts.map((one) => one.name).join(', ') || 'none';
    throw kubeconfigError(`${where} has no context ${name}`, `contexts in it: ${known}`);
  }
  return {
    clusters: config.clusters.filter((one) => one.name === entry.context.cluster),
    users: config.users.filter((one) => one.name === entry.context.user),
    contexts: [entry],
    'current-context': name,
  };
}

/** Names that both have with different content, as `context gpu-0`. */
export function conflicts(into: Kubeconfig, from: Kubeconfig): string[] {
  return kinds.flatMap((kind) =>
    from[kind]
      .filter((entry) => into[kind].some((one) => one.name === entry.name && !isDeepStrictEqual(one, entry)))
      .map(({ name }) => `${kind.slice(0, -1)} ${name}`),
  );
}

function mergeNamed<T extends { name: string }>(into: readonly T[], from: readonly T[]): T[] {
  const fresh = new Map(from.map((entry) => [entry.name, entry]));
  const kept = into.map((entry) => fresh.get(entry.name) ?? entry);
  const known = new Set(into.map(({ name }) => name));
  return [...kept, ...from.filter(({ name }) => !known.has(name))];
}

/** Entries of `from` replace those of the same name; the current context stays if there is one. */
export function mergeKubeconfigs(into: Kubeconfig, from: Kubeconfig): Kubeconfig {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    ...into,
    clusters: mergeNamed(into.clusters, from.clusters),
    users: mergeNamed(into.users, from.users),
    contexts: mergeNamed(into.contexts, from.contexts),
    'current-context': into['current-context'] || from['current-context'] || '',
  };
}
