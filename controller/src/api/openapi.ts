// The OpenAPI 3.1 document of the API, made from the facts of its routes and from the schemas that check what goes in. It is loaded and
// made only when somebody asks for it.

import swagger from '@fastify/swagger';
import fastify, { type FastifySchema } from 'fastify';
import { z } from 'zod';
import type { DescribedRoute, RouteFacts } from './facts.ts';
import { named, problem } from './schemas.ts';

const jsonSchemaOptions = {
  metadata: named,
  unrepresentable: 'any',
  override({ zodSchema, jsonSchema }) {
    if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    // Written as a bare integer, however large.
    if (zodSchema._zod.def.type === 'bigint') Object.assign(jsonSchema, { type: 'integer', format: 'int64' });
  },
} as const satisfies Parameters<typeof z.toJSONSchema>[1];

/** References to shared schemas in the form that the plugin resolves: by their id. */
function withSharedReferences(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withSharedReferences);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([key]) => key !== '$defs' && key !== '$schema' && key !== 'id');
  return Object.fromEntries(
    entries.map(([key, inner]) =>
      key === '$ref' ? [key, `${String(inner).split('/').at(-1)}#`] : [key, withSharedReferences(inner)],
    ),
  );
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): object {
  const id = named.get(schema)?.id;
  if (id) return { $ref: `${id}#` };
  return withSharedReferences(z.toJSONSchema(schema, { ...jsonSchemaOptions, io })) as object;
}

function answer(schema: z.ZodType, description: string): object {
  return { description, content: { 'application/json': { schema: jsonSchema(schema, 'output') } } };
}

function answersOf({ signed, facts }: DescribedRoute): object {
  const { summary, body, query, ok, others } = facts;
  const refusals: NonNullable<RouteFacts['others']> = {
    ...(signed && { 401: 'The signature does not hold.' }),
    ...((body ?? query) && { 422: 'The request has the wrong form.' }),
    ...others,
    429: 'Too many requests.',
  };
  const done = 'parse' in ok ? answer(ok, summary) : { ...ok, content: { [ok.type]: { schema: {} } } };
  return {
    200: done,
    ...Object.fromEntries(
      Object.entries(refusals).map(([status, what]) => [
        status,
        typeof what === 'object' ? answer(what.schema, what.description) : answer(problem, String(what)),
      ]),
    ),
  };
}

function schemaOf(route: DescribedRoute): FastifySchema {
  const { id, tag, summary, body, query } = route.facts;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(route.signed && { security: [{ miner: [], signer: [], nonce: [], signature: [] }] }),
    ...(query && { querystring: jsonSchema(query, 'input') }),
    ...(body && { body: jsonSchema(body, 'input') }),
    response: answersOf(route),
  };
}

function header(name: string, description: string) {
  return { type: 'apiKey', in: 'header', name, description } as const;
}

/** The plugin reads the routes of a server, so there is one for a moment; it never listens. */
export async function openApiDocument(routes: readonly DescribedRoute[]): Promise<object> {
  const app = fastify();
  app.setValidatorCompiler(() => () => true);
  app.setSerializerCompiler(() => JSON.stringify);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Miner API', version: '1', description: 'Servers, deployments and decisions of one miner.' },
      components: {
        securitySchemes: {
          miner: header('X-Chutes-Miner', 'ss58 address of the miner'),
          signer: header('X-Chutes-Validator', 'ss58 address of the signer: the miner as well'),
          nonce: header('X-Chutes-Nonce', 'Unix time in seconds, at most 30 s off'),
          signature: header('X-Chutes-Signature', 'sr25519 over miner:signer:nonce:(SHA-256 of the body or purpose)'),
        },
      },
    },
    refResolver: { buildLocalReference: (schema, _base, _fragment, i) => String(schema.$id ?? `def-${i}`) },
  });
  const { schemas } = z.toJSONSchema(named, { ...jsonSchemaOptions, io: 'output', uri: (id) => `/${id}` });
  for (const [id, schema] of Object.entries(schemas)) {
    app.addSchema({ ...(withSharedReferences(schema) as object), $id: id });
  }
  for (const route of routes) {
    app.route({ method: route.method, url: route.url, schema: schemaOf(route), handler: async () => undefined });
  }
  await app.ready();
  const document = app.swagger();
  await app.close();
  return document;
}
