// Role `gepetto`: the strategist as a process of its own. It has no hotkey and no way into a cluster; both are the controller's.

import fastify from 'fastify';
import pino, { type Logger } from 'pino';
import { systemClock } from '../domain/clock.ts';
import { connectLink } from '../link/client.ts';
import { createMetrics } from '../metrics/metrics.ts';
import { connectionHelp, connectionOptions, openConnections } from './connections.ts';
import { type GepettoParts, startGepetto } from './gepetto.ts';
import { createReadiness } from './readiness.ts';
import { httpUrl, type OptionValues, optional, portNumber, type Role, type RunningRole } from './role.ts';

/** The controller is silent for longer than one long wait of the link. */
const lateMs = 60_000;

export interface ServedGepetto extends RunningRole {
  /** Of `/healthz`, `/readyz` and `/metrics`. */
  url: string;
}

/** Resolves once the controller has answered for the first time. */
export async function serveGepetto(values: OptionValues, log: Logger = pino()): Promise<ServedGepetto> {
  const port = portNumber(values, 'port');
  const controller = httpUrl(values, 'controller');
  let lookup: Parameters<GepettoParts['onLookup']>[0] = () => undefined;
  const open = await openConnections(values, 'gepetto', (spec) => lookup(spec), log);
  const { store, repo, bus, linkToken: token } = open;
  const metrics = createMetrics();
  const readiness = createReadiness({ store, bus, feeds: () => new Map(), connected: () => false, clock: systemClock });
  const app = fastify({ logger: false, forceCloseConnections: true });
  const started: (() => unknown)[] = [open.close, () => app.close()];
  /** Ends what was started, last first. */
  async function stop(): Promise<void> {
    for (let end = started.pop(); end; end = started.pop()) await end();
  }
  let silentFor: (() => number) | undefined;
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const parts = [{ part: 'controller', ok: silentFor !== undefined && silentFor() < lateMs }, ...(await readiness())];
    const ready = parts.every(({ ok }) => ok);
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', parts });
  });
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.expose()));
  try {
    const { hotkey } = (await repo.readLastGoodMain()).config;
    // First of all: who waits for the controller tells so, and who finds the port taken has done nothing yet.
    const url = await app.listen({ host: optional(values, 'host') ?? '0.0.0.0', port });
    log.info({ url, controller }, 'gepetto listens');
    const client = await connectLink({ url: controller, token, clock: systemClock, pause: systemClock, log });
    started.push(client.close);
    const gepetto = await startGepetto({
      hotkey,
      store,
      repo,
      bus,
      link: client.link,
      metrics,
      clock: systemClock,
      log,
      onLookup: (found) => {
        lookup = found;
      },
    });
    started.push(gepetto.stop);
    silentFor = client.silentFor;
    log.info({ url, controller }, 'gepetto is up');
    return { url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

export const role: Role = {
  summary:
    'Decides which chutes run where, and commits it. Needs the controller; has neither hotkey nor access to clusters.',
  help: `  --controller URL         the controller's link, for example http://controller:32010
  --host ADDRESS, --port N where /healthz, /readyz and /metrics listen (default 0.0.0.0, 32020)
${connectionHelp}`,
  options: {
    controller: { type: 'string' },
    host: { type: 'string' },
    port: { type: 'string', default: '32020' },
    ...connectionOptions,
  },
  start: (values) => serveGepetto(values),
};
