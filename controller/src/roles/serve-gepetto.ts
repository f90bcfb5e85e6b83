// Role `gepetto`: the strategist as a process of its own. It has no hotkey and no way into a cluster; both are the controller's.

import fastify from 'fastify';
import pino, { type Logger } from 'pino';
import { systemClock } from '../domain/clock.ts';
import type { DeploymentSpec } from '../domain/deployment.ts';
import { messageOf } from '../domain/errors.ts';
import { connectLink } from '../link/client.ts';
import { createMetrics } from '../metrics/metrics.ts';
import { connectionHelp, connectionOptions, openConnections, secretIn } from './connections.ts';
import { type Duty, startDuty } from './duty.ts';
import { type GepettoParts, startGepetto } from './gepetto.ts';
import { gitUpkeepHelp, gitUpkeepOptions } from './gitoptions.ts';
import { startGitUpkeep } from './gitupkeep.ts';
import { gitObstacle, gitState, whileHeld } from './gitwatch.ts';
import { serveHook } from './hook.ts';
import { createReadiness, type PartState } from './readiness.ts';
import { withRefresh } from './refresh.ts';
import { createRerenders } from './rerender.ts';
import { httpUrl, type OptionValues, optional, portNumber, type Role, type RunningRole } from './role.ts';

/** The controller is silent for longer than one long wait of the link. */
const lateMs = 60_000;

export interface ServedGepetto extends RunningRole {
  /** Of `/healthz`, `/readyz` and `/metrics`. */
  url: string;
}

/** Resolves once the controller has answered for the first time, and it decides or stands by. */
export async function serveGepetto(values: OptionValues, log: Logger = pino()): Promise<ServedGepetto> {
  const port = portNumber(values, 'port');
  const controller = httpUrl(values, 'controller');
  const hookSecret = optional(values, 'hook-secret-file') && (await secretIn(values, 'hook-secret-file'));
  const metrics = createMetrics({ sources: { parts: () => readiness() } });
  let lookup: Parameters<GepettoParts['onLookup']>[0] = () => undefined;
  let wake: () => void = () => undefined;
  const listeners = {
    lookup: (spec: DeploymentSpec) => lookup(spec),
    onMoved: () => wake(),
    onProblem() {
      metrics.gitProblem();
      // It may be that git is back.
      wake();
    },
  };
  const open = await openConnections(values, 'gepetto', listeners, log);
  const { store, repo, bus, linkToken: token } = open;
  const clock = systemClock;
  const parts = createReadiness({ store, bus, feeds: () => new Map(), connected: () => false, clock });
  const app = fastify({ logger: false, forceCloseConnections: true });
  const started: (() => unknown)[] = [open.close, () => app.close()];
  /** Ends what was started, last first. */
  async function stop(): Promise<void> {
    for (let end = started.pop(); end; end = started.pop()) await end();
  }
  let silentFor: (() => number) | undefined;
  let duty: Duty | undefined;
  async function readiness(): Promise<PartState[]> {
    const heard = silentFor !== undefined && silentFor() < lateMs;
    return [{ part: 'controller', ok: heard }, ...gitState(repo), ...(await parts())];
  }
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const states = await readiness();
    const ready = states.every(({ ok }) => ok);
    const standby = duty?.state().held === false;
    // Whoever stands by is as it should be: a rolling restart waits for that.
    const status = standby ? 'standby' : ready ? 'ready' : 'not ready';
    return reply.code(ready ? 200 : 503).send({ status, parts: states, lease: duty?.state() });
  });
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.expose()));
  if (hookSecret) {
    const onProblem = (error: unknown) => log.warn(`after a call of the git host's hook: ${messageOf(error)}`);
    serveHook(app, { secret: hookSecret, refresh: repo.refresh, onProblem });
  }
  try {
    const { hotkey } = (await repo.readLastGoodMain()).config;
    // First of all: who waits for the controller tells so, and who finds the port taken has done nothing yet.
    const url = await app.listen({ host: optional(values, 'host') ?? '0.0.0.0', port });
    log.info({ url, controller }, 'gepetto listens');
    const client = await connectLink({ url: controller, token, clock, pause: clock, log });
    started.push(client.close);
    silentFor = client.silentFor;
    duty = startDuty({
      store,
      clock,
      log,
      async start(lease) {
        const followed = withRefresh(repo, client.link, log);
        const rerender = createRerenders({ repo: followed, mayWrite: lease.held, log });
        const gepetto = await startGepetto({
          hotkey,
          rerender,
          store,
          repo: whileHeld(followed, lease),
          bus,
          link: client.link,
          metrics,
          clock,
          log,
          obstacle: () => gitObstacle(repo, clock),
          onLookup: (found) => {
            lookup = found;
          },
        });
        wake = gepetto.wake;
        const upkeep = startGitUpkeep({ ...open.git.upkeep, repo, clock, mayWrite: lease.held, log });
        return async () => {
          await Promise.all([gepetto.stop(), upkeep.stop()]);
          await rerender.stop();
        };
      },
    });
    started.push(duty.stop);
    await duty.settled();
    log.info({ url, controller, decides: duty.state().held }, 'gepetto is up');
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
  --hook-secret-file FILE  secret of the git host's webhook; with it POST /hooks/git makes a push seen at once
${connectionHelp}
${gitUpkeepHelp}`,
  options: {
    controller: { type: 'string' },
    'hook-secret-file': { type: 'string' },
    ...gitUpkeepOptions,
    host: { type: 'string' },
    port: { type: 'string', default: '32020' },
    ...connectionOptions,
  },
  start: (values) => serveGepetto(values),
};
