// The Kubernetes API of all members on one port: `/clusters/<name>/api/v1/…`. A request to a member that is down finds its
// connection cut, as one to a machine without power would.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { kinds, namespace } from './admission.ts';
import { ApiError, type KubeObject, notFound } from './kube.ts';
import { type Listener, listenHttp, readBody, sendJson, sendText } from './listen.ts';
import type { DeleteOptions, Member } from './member.ts';
import { jsonPatch, mergePatch } from './patch.ts';
import { parsePath, type Target } from './paths.ts';
import { parseSelectors } from './selector.ts';
import { serveWatch } from './watch.ts';

export interface ApiServer {
  port: number;
  /** Cut the watches of one member. */
  disconnect(name: string): void;
  close(): Promise<void>;
}

export interface ApiServerOptions {
  members: ReadonlyMap<string, Member>;
  /** 0: any free port. */
  port: number;
  tokenOf(name: string): string;
  logOf(member: Member, podName: string): string;
}

const deleteOptions = z.looseObject({
  propagationPolicy: z.enum(['Foreground', 'Background', 'Orphan']).optional(),
  gracePeriodSeconds: z.int().min(0).optional(),
  preconditions: z.object({ uid: z.string().optional(), resourceVersion: z.string().optional() }).optional(),
});

function parseJsonBody(text: string): unknown {
  try {
    return text === '' ? {} : JSON.parse(text);
  } catch {
    throw new ApiError('BadRequest', 'the body is no JSON');
  }
}

function readDeleteOptions(body: string, query: URLSearchParams): z.infer<typeof deleteOptions> {
  const grace = query.get('gracePeriodSeconds');
  const policy = query.get('propagationPolicy');
  const parsed = deleteOptions.safeParse({
    ...(grace === null ? {} : { gracePeriodSeconds: Number(grace) }),
    ...(policy === null ? {} : { propagationPolicy: policy }),
    ...(parseJsonBody(body) as object),
  });
  if (!parsed.success) throw new ApiError('BadRequest', 'the delete options cannot be read');
  return parsed.data;
}

function checkPreconditions(
  object: KubeObject,
  wanted: { uid?: string | undefined; resourceVersion?: string | undefined },
) {
  const { uid, resourceVersion } = object.metadata;
  if ((wanted.uid ?? uid) !== uid || (wanted.resourceVersion ?? resourceVersion) !== resourceVersion) {
    throw new ApiError('Conflict', `Precondition failed for "${object.metadata.name}"`);
  }
}

function patchWith(contentType: string, body: string): (object: KubeObject) => unknown {
  const type = contentType.split(';')[0]?.trim();
  const patch = parseJsonBody(body);
  if (type === 'application/json-patch+json') return (object) => jsonPatch(object, patch);
  if (type === 'application/merge-patch+json' || type === 'application/strategic-merge-patch+json') {
    return (object) => mergePatch(object, patch);
  }
  throw new ApiError('UnsupportedMediaType', `patches of type "${type}" are not served`);
}

function removeOne(member: Member, resource: Target['resource'], name: string, options: DeleteOptions): unknown {
  const { uid } = member.store.get(resource, name)?.metadata ?? {};
  const removed = member.remove(resource, name, options);
  if (member.store.get(resource, name)) return removed;
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details: { name, kind: resource, uid } };
}

function list(member: Member, target: Target, query: URLSearchParams): unknown {
  const { apiVersion, kind } = kinds[target.resource];
  const matches = parseSelectors(query.get('labelSelector'), query.get('fieldSelector'));
  const metadata = { resourceVersion: String(member.store.revision) };
  return { kind: `${kind}List`, apiVersion, metadata, items: member.store.list(target.resource, matches) };
}

async function answer(
  member: Member,
  target: Target,
  query: URLSearchParams,
  request: IncomingMessage,
): Promise<{ code: number; body: unknown }> {
  const { resource, name } = target;
  const body = await readBody(request);
  if (resource === 'nodes' && (request.method === 'POST' || request.method === 'DELETE')) {
    throw new ApiError('MethodNotAllowed', 'nodes come and go with the server');
  }
  if (name === undefined) {
    if (request.method === 'GET') return { code: 200, body: list(member, target, query) };
    if (request.method === 'POST') return { code: 201, body: member.create(resource, parseJsonBody(body)) };
    if (request.method === 'DELETE') {
      const options = readDeleteOptions(body, query);
      const matches = parseSelectors(query.get('labelSelector'), query.get('fieldSelector'));
      for (const object of member.store.list(resource, matches)) member.remove(resource, object.metadata.name, options);
      return { code: 200, body: list(member, target, query) };
    }
  } else {
    const object = member.store.get(resource, name);
    if (!object) throw notFound(resource, name);
    if (request.method === 'GET') return { code: 200, body: object };
    if (request.method === 'PUT') return { code: 200, body: member.replace(resource, name, parseJsonBody(body)) };
    if (request.method === 'PATCH') {
      const change = patchWith(request.headers['content-type'] ?? '', body);
      return { code: 200, body: member.patch(resource, name, change) };
    }
    if (request.method === 'DELETE') {
      const options = readDeleteOptions(body, query);
      checkPreconditions(object, options.preconditions ?? {});
      return { code: 200, body: removeOne(member, resource, name, options) };
    }
  }
  throw new ApiError('MethodNotAllowed', `${request.method} is not served here`);
}

export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const watches = new Map<string, Set<() => void>>();

  function watch(member: Member, target: Target, query: URLSearchParams, response: ServerResponse): void {
    const fields = target.name === undefined ? query.get('fieldSelector') : `metadata.name=${target.name}`;
    const matches = parseSelectors(query.get('labelSelector'), fields);
    const from = Number(query.get('resourceVersion') ?? 0);
    const bookmarks = query.get('allowWatchBookmarks') === 'true';
    const timeoutSeconds = Number(query.get('timeoutSeconds') ?? 0) || undefined;
    const open = watches.get(member.server.name) ?? new Set();
    watches.set(member.server.name, open);
    const end = serveWatch(
      member.store,
      { resource: target.resource, matches, from, bookmarks, timeoutSeconds },
      response,
    );
    open.add(end);
    response.on('close', () => open.delete(end));
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://cluster');
    const [, name = '', path = '/'] = /^\/clusters\/([^/]+)(\/.*)?$/.exec(url.pathname) ?? [];
    const member = options.members.get(name);
    if (!member) throw new ApiError('NotFound', 'no such cluster');
    if (!member.up) {
      request.socket.destroy();
      return;
    }
    if (request.headers.authorization !== `Bearer ${options.tokenOf(name)}`) {
      throw new ApiError('Unauthorized', 'Unauthorized');
    }
    if (['/healthz', '/livez', '/readyz'].includes(path)) return sendText(response, 200, 'text/plain', 'ok');
    if (path === '/version') return sendJson(response, 200, { major: '1', minor: '33', gitVersion: 'v1.33.1+k3s1' });
    const target = parsePath(path);
    if (!target) {
      throw new ApiError('NotFound', `only namespace "${namespace}" has objects`);
    }
    if (request.method === 'GET' && target.subresource === 'log') {
      if (!member.store.get('pods', target.name ?? '')) throw notFound('pods', target.name ?? '');
      return sendText(response, 200, 'text/plain', options.logOf(member, target.name ?? ''));
    }
    const watching = url.searchParams.get('watch');
    if (request.method === 'GET' && (watching === 'true' || watching === '1')) {
      return watch(member, target, url.searchParams, response);
    }
    const { code, body } = await answer(member, target, url.searchParams, request);
    sendJson(response, code, body);
  }

  const listener: Listener = await listenHttp('127.0.0.1', options.port, (request, response) => {
    handle(request, response).catch((error: unknown) => {
      if (response.headersSent) return response.destroy();
      const failure = error instanceof ApiError ? error : new ApiError('InternalError', 'the request failed');
      sendJson(response, failure.status.code, failure.status);
    });
  });
  return {
    port: listener.port,
    disconnect(name) {
      for (const end of watches.get(name) ?? []) end();
    },
    close: () => listener.close(),
  };
}
