// Holds objects against the schemas of Kubernetes 1.28 to 1.34 and of Argo CD, without a cluster. data/kubernetes.json is written by
// scripts/kubernetes-schemas.ts; an unknown field is a mistake, as with `kubectl apply --validate=strict`.

import { readFileSync } from 'node:fs';
import { z } from 'zod';

const schemaOf = z.record(z.string(), z.unknown());
const file = z.object({
  from: z.object({ kubernetes: z.array(z.string()), argocd: z.string() }),
  kinds: z.record(z.string(), z.string()),
  custom: z.record(z.string(), schemaOf),
  definitions: z.record(z.string(), z.array(z.object({ in: z.array(z.string()), schema: schemaOf }))),
});
const known = file.parse(JSON.parse(readFileSync(new URL('data/kubernetes.json', import.meta.url), 'utf8')));

/** `1.28` to `1.34`. */
export const kubernetesVersions: readonly string[] = known.from.kubernetes.map((one) => one.replace(/\.\d+$/, ''));

const compiled = new Map<string, z.ZodType>();

function jsonSchema(version: string, key: string): z.core.JSONSchema.JSONSchema | undefined {
  const custom = known.custom[key];
  if (custom) return custom;
  const name = known.kinds[key];
  const definitions = Object.fromEntries(
    Object.entries(known.definitions).flatMap(([one, forms]) => {
      const form = forms.find((each) => each.in.includes(version));
      return form ? [[one, form.schema]] : [];
    }),
  );
  if (name === undefined || !definitions[name]) return undefined;
  return { $schema: 'http://json-schema.org/draft-07/schema#', $ref: `#/definitions/${name}`, definitions };
}

function validator(version: string, key: string): z.ZodType | undefined {
  const id = `${version} ${key}`;
  const before = compiled.get(id);
  if (before) return before;
  const schema = jsonSchema(version, key);
  if (!schema) return undefined;
  const made = z.fromJSONSchema(schema);
  compiled.set(id, made);
  return made;
}

/** What is wrong with an object in this version of Kubernetes, a line each; nothing when it is valid. */
export function schemaProblems(object: { apiVersion: string; kind: string }, version: string): string[] {
  const key = `${object.apiVersion} ${object.kind}`;
  const schema = validator(version, key);
  if (!schema) return [`Kubernetes ${version} has no ${key}`];
  const { error } = schema.safeParse(object);
  return (error?.issues ?? []).map(({ path, message }) => `${key}: ${path.join('.')}: ${message}`);
}
