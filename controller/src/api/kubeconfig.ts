// One kubeconfig for the operator out of those of the control cluster and of every server (protocol.md 4.1.1). What a server gives is
// not trusted: only addresses, certificates and keys pass, nothing that would run a program or read a file on the operator's machine.

import { parse } from 'yaml';
import { z } from 'zod';
import { messageOf } from '../domain/errors.ts';
import type { kubeconfig } from './schemas.ts';

export type Kubeconfig = z.output<typeof kubeconfig>;

const chutesNamespace = 'chutes';

const text = z.string().min(1);

const cluster = z.object({
  server: z.url({ protocol: /^https?$/ }),
  'certificate-authority-data': text.optional(),
  'insecure-skip-tls-verify': z.boolean().optional(),
  'tls-server-name': text.optional(),
});

const user = z
  .object({
    token: text.optional(),
    'client-certificate-data': text.optional(),
    'client-key-data': text.optional(),
    username: text.optional(),
    password: text.optional(),
  })
  .refine((given) => Object.keys(given).length > 0, 'has no token, certificate or password in it');

const source = z.object({
  clusters: z.array(z.object({ name: text, cluster: z.unknown() })),
  users: z.array(z.object({ name: text, user: z.unknown() })),
  contexts: z.array(z.object({ name: text, context: z.object({ cluster: text, user: text }) })),
  'current-context': z.string().nullish(),
});

interface Entry {
  name: string;
  cluster: z.output<typeof cluster>;
  user: z.output<typeof user>;
}

/** Names of fields only: values are credentials. */
function check<T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const places = read.error.issues.map(({ path, message }) => `${[what, ...path.map(String)].join('.')}: ${message}`);
  throw new Error(places.join('; '));
}

function readYaml(content: string): unknown {
  try {
    return parse(content);
  } catch {
    // The parser's message quotes the text.
    throw new Error('is not YAML');
  }
}

/** The context `name`, or without a name the current one. Throws when it cannot be used. */
function readEntry(content: string, name: string | undefined): Entry {
  const config = check(source, readYaml(content), 'kubeconfig');
  const wanted = name ?? config['current-context'];
  const found = config.contexts.find((context) => context.name === wanted);
  if (!found) throw new Error(`has no context ${wanted ?? 'that is current'}`);
  const { context } = found;
  return {
    name: found.name,
    cluster: check(cluster, config.clusters.find((one) => one.name === context.cluster)?.cluster, 'cluster'),
    user: check(user, config.users.find((one) => one.name === context.user)?.user, 'user'),
  };
}

export interface KubeconfigSources {
  /** Names of all servers, in the order in which they are shown. */
  servers: readonly string[];
  /** YAML or JSON text by server name. */
  kubeconfigs: ReadonlyMap<string, string>;
  control: string | undefined;
  /** Called for each one that had to be left out; the reason holds no credential. */
  onLeftOut(name: string, reason: string): void;
}

/** Clusters, users and contexts are all named after the node: the names inside (often `default`) would collide. */
export function mergeKubeconfigs({ servers, kubeconfigs, control, onLeftOut }: KubeconfigSources): Kubeconfig {
  const entries = new Map<string, Entry>();

  function add(label: string, content: string | undefined, name: string | undefined): Entry | undefined {
    try {
      if (content === undefined) throw new Error('has no kubeconfig');
      const entry = readEntry(content, name);
      if (entries.has(entry.name)) throw new Error('has the name of the control cluster');
      entries.set(entry.name, entry);
      return entry;
    } catch (error) {
      onLeftOut(label, messageOf(error));
      return undefined;
    }
  }

  const first = control === undefined ? undefined : add('control', control, undefined);
  for (const name of servers) add(name, kubeconfigs.get(name), name);
  const all = [...entries.values()];
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: all.map((entry) => ({ name: entry.name, cluster: entry.cluster })),
    users: all.map((entry) => ({ name: entry.name, user: entry.user })),
    contexts: all.map(({ name }) => ({ name, context: { cluster: name, user: name, namespace: chutesNamespace } })),
    'current-context': first?.name ?? '',
  };
}
