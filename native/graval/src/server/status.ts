// Health and figures of the bootstrap server, on a port of their own that no Service leads to.

import { createServer, type Server } from 'node:http';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { problemOf } from './problem.ts';

export interface LastFailure {
  /** ms since the Unix epoch. */
  at: number;
  work: 'info' | 'prove' | 'commit' | 'audit' | 'release';
  code: string;
  detail: string;
}

export interface BootstrapFigures {
  registry: Registry;
  /** Run it, and count how long it took and how it ended. */
  timed<T>(work: LastFailure['work'], run: () => Promise<T>): Promise<T>;
  /** A request without a good signature. */
  refused(): void;
  lastFailure(): LastFailure | undefined;
}

interface FigureSources {
  kind: string;
  gpus: number;
  load(): number;
  clock: { now(): number };
}

/** From a device question to the slowest model's proof, seconds. */
const buckets = [0.01, 0.1, 1, 5, 15, 30, 60, 90, 150, 300, 600];

export function createFigures({ kind, gpus, load, clock }: FigureSources): BootstrapFigures {
  const registry = new Registry();
  const registers = [registry];
  const seconds = new Histogram({
    name: 'miner_graval_seconds',
    help: 'Time of a device question, a proof or a step of ogv1, waiting included, by outcome.',
    labelNames: ['work', 'outcome'],
    buckets,
    registers,
  });
  const refusals = new Counter({
    name: 'miner_graval_refused_total',
    help: 'Requests without a good signature.',
    registers,
  });
  new Gauge({
    name: 'miner_graval_gpus',
    help: 'GPUs that the server answers for.',
    labelNames: ['backend'],
    registers,
  }).set({ backend: kind }, gpus);
  new Gauge({
    name: 'miner_graval_proofs',
    help: 'Proofs that run or wait.',
    registers,
    collect() {
      this.set(load());
    },
  });
  let last: LastFailure | undefined;
  return {
    registry,
    async timed(work, run) {
      const end = seconds.startTimer({ work });
      try {
        const result = await run();
        end({ outcome: 'ok' });
        return result;
      } catch (error) {
        const { code, detail } = problemOf(error);
        last = { at: clock.now(), work, code, detail };
        end({ outcome: code });
        throw error;
      }
    },
    refused: () => refusals.inc(),
    lastFailure: () => last,
  };
}

/** `/healthz`: what it serves and the last failure; 200 while the process answers. `/metrics`: Prometheus text. Not listening yet. */
export function createStatusServer(figures: BootstrapFigures, health: () => object): Server {
  collectDefaultMetrics({ register: figures.registry });

  async function answer(url: string): Promise<{ status: number; type: string; body: string }> {
    if (url === '/metrics')
      return { status: 200, type: figures.registry.contentType, body: await figures.registry.metrics() };
    const status = url === '/healthz' ? 200 : 404;
    const body =
      status === 200 ? { ok: true, ...health(), lastFailure: figures.lastFailure() ?? null } : { error: 'NOT_FOUND' };
    return { status, type: 'application/json', body: JSON.stringify(body) };
  }

  return createServer((request, response) => {
    answer(request.url ?? '').then(
      ({ status, type, body }) => response.writeHead(status, { 'content-type': type }).end(body),
      () => response.destroy(),
    );
  });
}
