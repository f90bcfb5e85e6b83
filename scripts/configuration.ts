// Writes docs/configuration.md: every field of miner.yaml, images.yaml and servers/<name>.yaml with type, default and meaning, from the schemas that
// read those files. Usage: npm run configuration

import { writeFileSync } from 'node:fs';
import { minerConfig, serverConfig } from '@miner/controller/domain/config.ts';
import { imageValues } from '@miner/controller/domain/values/images.ts';
import { z } from 'zod';

export const configurationFile = new URL('../docs/configuration.md', import.meta.url);

interface Shape {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  anyOf?: Shape[];
  allOf?: Shape[];
  items?: Shape;
  properties?: Record<string, Shape>;
  required?: string[];
  additionalProperties?: Shape | false;
  minimum?: number;
  maximum?: number;
}

/** In a cell of a table. */
const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function typeOf({ type, enum: values, anyOf, items, additionalProperties }: Shape): string {
  if (values) return values.map((value) => JSON.stringify(value)).join(' or ');
  if (anyOf) return [...new Set(anyOf.map(typeOf))].join(' or ');
  if (type === 'array') return `list of ${typeOf(items ?? {})}`;
  if (type === 'object' && additionalProperties) return `map to ${typeOf(additionalProperties)}`;
  return type ?? 'any';
}

export interface Field {
  path: string;
  type: string;
  /** As JSON; what the program does without it if there is none. */
  standard: string;
  meaning: string;
}

function standardOf(shape: Shape, required: boolean): string {
  if (shape.properties) return '';
  if (shape.default !== undefined) return `\`${JSON.stringify(shape.default)}\``;
  return required ? 'required' : 'none';
}

/** A default that stands around a field hides its description. */
function meaningOf({ description, allOf = [] }: Shape): string {
  return description ?? allOf.map(meaningOf).join(' ');
}

/** Every field below, outer ones first. */
export function fieldsOf(shape: Shape, prefix = ''): Field[] {
  return Object.entries(shape.properties ?? {}).flatMap(([name, field]) => {
    const path = `${prefix}${name}`;
    const standard = standardOf(field, shape.required?.includes(name) ?? false);
    const own = { path, type: typeOf(field), standard, meaning: meaningOf(field) };
    const within = field.items ?? (field.additionalProperties || undefined);
    return [
      own,
      ...fieldsOf(field, `${path}.`),
      ...(within ? fieldsOf(within, `${path}${field.items ? '[]' : '.*'}.`) : []),
    ];
  });
}

function shapeOf(schema: z.ZodType): Shape {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Shape;
}

export const files: Readonly<Record<string, Field[]>> = {
  'miner.yaml': fieldsOf(shapeOf(minerConfig)),
  'images.yaml': fieldsOf(shapeOf(imageValues)),
  'servers/<name>.yaml': fieldsOf(shapeOf(serverConfig)),
};

export function configurationText(): string {
  const sections = Object.entries(files).map(([file, fields]) => {
    const rows = fields.map(
      ({ path, type, standard, meaning }) => `| \`${path}\` | ${cell(type)} | ${cell(standard)} | ${cell(meaning)} |\n`,
    );
    return `\n## ${file}\n\n| field | type | default | meaning |\n|---|---|---|---|\n${rows.join('')}`;
  });
  return `# Configuration\n\nWritten by \`npm run configuration\` from the schemas. Unknown fields are errors. \`[]\` is each item of a list, \`*\` each key of a map.\n${sections.join('')}`;
}

if (import.meta.main) writeFileSync(configurationFile, configurationText());
