import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createApi } from './server.ts';
import { type Context, useApi } from './testing/api.ts';

const test = suite<Context>('API document');
useApi(test);

interface Operation {
  operationId: string;
  summary: string;
  security?: Record<string, unknown>[];
  parameters?: { name: string; in: string; required: boolean; schema: object }[];
  requestBody?: { content: Record<string, { schema: object }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: unknown }> }>;
}

interface Document {
  openapi: string;
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object>; securitySchemes: Record<string, { type: string; in: string }> };
}

async function read(url: string): Promise<Document> {
  const response = await fetch(`${url}/openapi.json`);
  assert.is(response.status, 200);
  return (await response.json()) as Document;
}

function operationsOf({ paths }: Document): [method: string, path: string, operation: Operation][] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => [method, path, operation] as [string, string, Operation]),
  );
}

/** Every object in the document. */
function* walk(value: unknown): Generator<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield value as Record<string, unknown>;
  for (const inner of Object.values(value)) yield* walk(inner);
}

test('every route is in the document, and the document has no other', async ({ options, url }) => {
  const registered: string[] = [];
  const app = createApi({ ...options, metrics: { contentType: 'text/plain', expose: async () => '' } });
  app.addHook('onRoute', ({ method, url: path }) => {
    for (const one of [method].flat()) registered.push(`${one} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);
  });
  await app.ready();
  const document: Document = (await app.inject('/openapi.json')).json();
  await app.close();
  const described = operationsOf(document).map(([method, path]) => `${method.toUpperCase()} ${path}`);
  const redirects = ['GET /servers', 'POST /servers', 'GET /deployments', 'POST /deployments'];
  assert.equal([...described, ...redirects].sort(), registered.sort());
  assert.not('/metrics' in (await read(url)).paths, 'there is no such route without metrics');
});

test('the document has the structure of OpenAPI 3.1', async ({ url }) => {
  const document = await read(url);
  assert.match(document.openapi, /^3\.1\.\d+$/);
  assert.ok(document.info.title && document.info.version);
  for (const { type, in: place } of Object.values(document.components.securitySchemes)) {
    assert.equal([type, place], ['apiKey', 'header']);
  }
  const ids = new Set<string>();
  for (const [method, path, operation] of operationsOf(document)) {
    const where = `${method} ${path}`;
    assert.match(path, /^\//);
    assert.ok(['get', 'post', 'delete'].includes(method), where);
    assert.ok(operation.operationId && !ids.has(operation.operationId), `${where} has an id of its own`);
    ids.add(operation.operationId);
    assert.ok(operation.responses['200'], where);
    for (const [status, { description, content = {} }] of Object.entries(operation.responses)) {
      assert.match(status, /^[1-5]\d\d$/);
      assert.ok(description, `${where} ${status} is described`);
      for (const media of Object.values(content)) assert.type(media.schema, 'object');
    }
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    const parameters = operation.parameters ?? [];
    assert.equal(
      parameters.filter((one) => one.in === 'path' && one.required).map(({ name }) => name),
      inPath,
      `${where} declares its parameters`,
    );
    for (const requirement of operation.security ?? [])
      for (const name of Object.keys(requirement)) assert.ok(document.components.securitySchemes[name], name);
  }
});

test('every reference leads to a schema, and schemas speak JSON Schema 2020-12', async ({ url }) => {
  const document = await read(url);
  let references = 0;
  for (const object of walk(document)) {
    assert.not('nullable' in object && typeof object.nullable === 'boolean', 'nullable is of 3.0');
    if (typeof object.$ref !== 'string') continue;
    references += 1;
    const id = /^#\/components\/schemas\/(\w+)$/.exec(object.$ref)?.[1] ?? '';
    assert.ok(document.components.schemas[id], object.$ref);
    assert.not(document.components.schemas[id] === object, 'a schema that is only itself says nothing');
  }
  assert.ok(references > 50);
  for (const [id, schema] of Object.entries(document.components.schemas)) assert.ok('properties' in schema, id);
});

test('routes that demand a signature say so, and no others', async ({ url }) => {
  for (const [method, path, { security }] of operationsOf(await read(url))) {
    const { status } = await fetch(url + path.replace('{id}', 'x'), { method: method.toUpperCase() });
    assert.is(status === 401, security !== undefined, `${method} ${path}: ${status}`);
  }
});

test('what is read is in the document: the body of a server, the query of decisions', async ({ url }) => {
  const { paths, components } = await read(url);
  const body = paths['/servers/']?.post?.requestBody?.content['application/json']?.schema;
  assert.equal(body, { $ref: '#/components/schemas/ServerRequest' });
  const { required, properties } = components.schemas.ServerRequest as { required: string[]; properties: object };
  assert.equal(required, ['name', 'validator', 'hourly_cost', 'gpu_short_ref']);
  assert.equal(Object.keys(properties), [...required, 'agent_api']);
  assert.equal(
    paths['/decisions']?.get?.parameters?.map(({ name, in: place }) => `${place} ${name}`),
    ['query deployment_id', 'query chute_id', 'query server', 'query limit'],
  );
});

test.run();
