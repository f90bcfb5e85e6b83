// A watch stream: one JSON line per change of one resource, from a revision on. An object that stops matching the selector is
// reported as deleted, one that starts matching as added.

import type { ServerResponse } from 'node:http';
import { kinds } from './admission.ts';
import { ApiError, type KubeObject } from './kube.ts';
import type { Matcher } from './selector.ts';
import type { Change, ObjectStore, Resource } from './store.ts';

export interface WatchRequest {
  resource: Resource;
  matches: Matcher;
  /** Undefined or 0: first everything that exists. */
  from: number | undefined;
  bookmarks: boolean;
  /** Real seconds until the server ends the stream; undefined: never. */
  timeoutSeconds: number | undefined;
}

const bookmarkMs = 10_000;

type Line = { type: string; object: unknown };

function lineOf(change: Change, matches: Matcher): Line | undefined {
  const was = change.previous !== undefined && matches(change.previous);
  const is = change.type !== 'DELETED' && matches(change.object);
  if (is) return { type: was ? 'MODIFIED' : 'ADDED', object: change.object };
  return was ? { type: 'DELETED', object: change.object } : undefined;
}

/** Writes the stream; returns the way to end it. A revision that is no longer known gives one ERROR line with code 410. */
export function serveWatch(store: ObjectStore, request: WatchRequest, response: ServerResponse): () => void {
  response.writeHead(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' });
  const write = (line: Line) => response.write(`${JSON.stringify(line)}\n`);
  const { resource, matches, from } = request;
  try {
    if (from) {
      for (const change of store.since(resource, from)) {
        const line = lineOf(change, matches);
        if (line) write(line);
      }
    } else {
      for (const object of store.list(resource, matches)) write({ type: 'ADDED', object: object satisfies KubeObject });
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    write({ type: 'ERROR', object: error.status });
    response.end();
    return () => {};
  }
  response.flushHeaders();
  const unsubscribe = store.onChange((change) => {
    if (change.resource !== resource) return;
    const line = lineOf(change, matches);
    if (line) write(line);
  });
  const bookmark = setInterval(() => {
    if (!request.bookmarks) return;
    const metadata = { resourceVersion: String(store.revision) };
    write({ type: 'BOOKMARK', object: { ...kinds[resource], metadata } });
  }, bookmarkMs);
  const end = request.timeoutSeconds ? setTimeout(() => response.end(), request.timeoutSeconds * 1000) : undefined;
  response.on('close', () => {
    unsubscribe();
    clearInterval(bookmark);
    clearTimeout(end);
  });
  return () => response.destroy();
}
