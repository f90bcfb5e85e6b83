// Writes manifests-src/testing/data/kubernetes.json anew: what every kind that we render looks like in Kubernetes 1.28 to 1.34, and Argo CD's own
// kinds, read from their published Go modules. Needs Go and the network; usage: kubernetes-schemas.ts

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

const kubernetes = ['1.28.15', '1.29.15', '1.30.14', '1.31.13', '1.32.9', '1.33.5', '1.34.1'];
const argocd = '3.1.9';

/** Kinds by `apiVersion`; more than are rendered today cost nothing but bytes. */
const kinds: Record<string, string[]> = {
  v1: ['ConfigMap', 'Namespace', 'PersistentVolumeClaim', 'Secret', 'Service', 'ServiceAccount'],
  'apps/v1': ['DaemonSet', 'Deployment', 'StatefulSet'],
  'batch/v1': ['CronJob', 'Job'],
  'networking.k8s.io/v1': ['NetworkPolicy'],
  'node.k8s.io/v1': ['RuntimeClass'],
  'policy/v1': ['PodDisruptionBudget'],
  'rbac.authorization.k8s.io/v1': ['ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding'],
  'scheduling.k8s.io/v1': ['PriorityClass'],
};

type Schema = Record<string, unknown>;
const swagger = z.object({ definitions: z.record(z.string(), z.record(z.string(), z.unknown())) });
const crd = z.object({
  spec: z.object({
    names: z.object({ kind: z.string() }),
    versions: z.array(z.object({ schema: z.object({ openAPIV3Schema: z.record(z.string(), z.unknown()) }) })),
  }),
});

function folderOf(module: string): string {
  const answer = execFileSync('go', ['mod', 'download', '-json', module], { encoding: 'utf8', timeout: 600_000 });
  return z.object({ Dir: z.string() }).parse(JSON.parse(answer)).Dir;
}

const prefix = '#/definitions/';
const isObject = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function numbered(schema: Schema): Schema | undefined {
  const { format } = schema;
  if (format === 'int-or-string' || schema['x-kubernetes-int-or-string'] === true)
    return { type: ['integer', 'string'] };
  return undefined;
}

/** Only what tells right from wrong. Kubernetes refuses fields that it does not know, when asked to be strict. */
function reduced(schema: Schema): Schema {
  const special = numbered(schema);
  if (special) return special;
  const { type, enum: values, required, items, properties, additionalProperties, $ref } = schema;
  if (typeof $ref === 'string') return { $ref };
  const open = schema['x-kubernetes-preserve-unknown-fields'] === true;
  return {
    ...(type !== undefined && { type }),
    ...(Array.isArray(values) && { enum: values }),
    ...(Array.isArray(required) && { required }),
    ...(isObject(items) && { items: reduced(items) }),
    ...(isObject(properties) && {
      properties: Object.fromEntries(
        Object.entries(properties).flatMap(([name, one]) => (isObject(one) ? [[name, reduced(one)]] : [])),
      ),
      ...(!open && { additionalProperties: false }),
    }),
    ...(isObject(additionalProperties) && { additionalProperties: reduced(additionalProperties) }),
  };
}

function referencesOf(schema: unknown): string[] {
  if (Array.isArray(schema)) return schema.flatMap(referencesOf);
  if (!isObject(schema)) return [];
  const own = typeof schema.$ref === 'string' ? [schema.$ref.slice(prefix.length)] : [];
  return [...own, ...Object.values(schema).flatMap(referencesOf)];
}

/** Definition of each kind, by `<apiVersion> <kind>`. */
const definitionOf = new Map<string, string>();

/** The kinds and all that they are made of. */
function definitionsOf(folder: string): Map<string, Schema> {
  const { definitions } = swagger.parse(JSON.parse(readFileSync(`${folder}/api/openapi-spec/swagger.json`, 'utf8')));
  const found = new Map<string, Schema>();
  const queue: string[] = [];
  for (const [name, schema] of Object.entries(definitions)) {
    const known = schema['x-kubernetes-group-version-kind'];
    for (const one of Array.isArray(known) ? known : []) {
      const apiVersion = one.group ? `${one.group}/${one.version}` : one.version;
      if (!kinds[apiVersion]?.includes(one.kind)) continue;
      definitionOf.set(`${apiVersion} ${one.kind}`, name);
      queue.push(name);
    }
  }
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const schema = definitions[name];
    if (!schema || found.has(name)) continue;
    // A number without a unit is a quantity too.
    const quantity = name.endsWith('.api.resource.Quantity');
    const own = quantity ? { type: ['string', 'number'] } : reduced(schema);
    found.set(name, own);
    queue.push(...referencesOf(own));
  }
  return found;
}

/** One schema for each form that a definition has had, with the minor versions that have it. */
function byForm(versions: Map<string, Map<string, Schema>>): Record<string, { in: string[]; schema: Schema }[]> {
  const all: Record<string, { in: string[]; schema: Schema }[]> = {};
  for (const [version, definitions] of versions)
    for (const [name, schema] of definitions) {
      const forms = all[name] ?? [];
      all[name] = forms;
      const same = forms.find((form) => JSON.stringify(form.schema) === JSON.stringify(schema));
      if (same) same.in.push(version);
      else forms.push({ in: [version], schema });
    }
  return Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const minor = (version: string) => version.split('.').slice(0, 2).join('.');
const versions = new Map(
  kubernetes.map((version) => [minor(version), definitionsOf(folderOf(`k8s.io/kubernetes@v${version}`))]),
);
const argoFolder = folderOf(`github.com/argoproj/argo-cd/v3@v${argocd}`);
const custom = Object.fromEntries(
  ['application', 'appproject'].map((name) => {
    const { spec } = crd.parse(parse(readFileSync(`${argoFolder}/manifests/crds/${name}-crd.yaml`, 'utf8')));
    const { type, required, properties, ...closed } = reduced(spec.versions[0]?.schema.openAPIV3Schema ?? {});
    // What Argo CD writes itself is left out.
    const { status, operation, ...ours } = isObject(properties) ? properties : {};
    return [`argoproj.io/v1alpha1 ${spec.names.kind}`, { type, required, properties: ours, ...closed }];
  }),
);
const text = JSON.stringify({
  from: { kubernetes, argocd },
  kinds: Object.fromEntries([...definitionOf].sort(([a], [b]) => (a < b ? -1 : 1))),
  custom,
  definitions: byForm(versions),
});
// One definition a line: what a new version changes can be read in a diff.
writeFileSync(
  new URL('../manifests-src/testing/data/kubernetes.json', import.meta.url),
  `${text.replaceAll(/,"(io\.k8s\.[^"]+)":\[\{"in"/g, ',\n"$1":[{"in"')}\n`,
);
