// Health and figures of registry auth, on a port of their own: the port that signs answers nothing else.

import { createServer, type Server } from 'node:http';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Clock } from '../domain/clock.ts';
import { type RegistryAuth, results } from './server.ts';

export interface StatusSources {
  counts: RegistryAuth['counts'];
  /** Number of repositories that may be pulled. */
  repositories(): number;
  /** When the pods were last listed, ms; undefined before the first list. */
  listedAt(): number | undefined;
  clock: Pick<Clock, 'now'>;
}

function createRegistry({ counts, repositories, listedAt, clock }: StatusSources): Registry {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  new Counter({
    name: 'miner_registry_auth_total',
    help: 'Registry pulls asked about, by answer.',
    labelNames: ['result'],
    registers,
    collect() {
      this.reset();
      for (const result of results) this.inc({ result }, counts[result]);
    },
  });
  new Gauge({
    name: 'miner_registry_repositories',
    help: 'Image repositories of chutes placed on the node.',
    registers,
    collect() {
      this.set(repositories());
    },
  });
  new Gauge({
    name: 'miner_registry_list_age_seconds',
    help: 'Time since the chute pods of the node were listed; no value before the first list.',
    registers,
    collect() {
      this.remove();
      const at = listedAt();
      if (at !== undefined) this.set(Math.max(0, clock.now() - at) / 1000);
    },
  });
  return registry;
}

/**
 * `/healthz`: 200 while the process answers. `/readyz`: 503 until the node's pods were listed once; later failures leave the last good
 * list in force, so it stays 200. `/metrics`: Prometheus text. Not listening yet.
 */
export function createStatusServer(sources: StatusSources): Server {
  const registry = createRegistry(sources);

  async function answer(url: string): Promise<{ status: number; type: string; body: string }> {
    if (url === '/metrics') return { status: 200, type: registry.contentType, body: await registry.metrics() };
    const ready = url === '/healthz' || (url === '/readyz' && sources.listedAt() !== undefined);
    if (ready) return { status: 200, type: 'application/json', body: '{"ok":true}' };
    if (url === '/readyz') {
      const body = '{"error":"not ready","detail":"the pods of the node were not listed yet"}';
      return { status: 503, type: 'application/json', body };
    }
    return { status: 404, type: 'application/json', body: '{"error":"not found","detail":"no such path"}' };
  }

  return createServer(async (request, response) => {
    const { status, type, body } = await answer(request.url ?? '');
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body);
  });
}
