// Gepetto: turns events and time into passes. It writes commits and the store, nothing else; whatever needs the hotkey or a cluster is
// asked of the controller.

import type { Logger } from 'pino';
import type { Chute } from '../domain/chute.ts';
import type { Clock } from '../domain/clock.ts';
import type { DeploymentSpec } from '../domain/deployment.ts';
import { messageOf } from '../domain/errors.ts';
import type { ClusterRepo, ControllerLink, EventBus, Store } from '../domain/ports.ts';
import { systemRandom } from '../domain/random.ts';
import type { Server } from '../domain/server.ts';
import { handleEvent } from '../gepetto/events.ts';
import { type PassResult, runPass, type Snapshot } from '../gepetto/pass.ts';
import { questionOf } from '../gepetto/question.ts';
import { rememberReverts } from '../gepetto/revert.ts';
import type { PassMemory } from '../gepetto/swap.ts';
import { emptyMemory } from '../gepetto/world.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { createStrategist } from '../strategy/strategist.ts';
import { createGoneQuestions } from './gone.ts';
import { createLook, emptyHints } from './look.ts';
import { startLoop } from './loop.ts';
import { restoreOffers } from './rentals.ts';
import type { Rerender } from './rerender.ts';

export interface GepettoParts {
  /** Own hotkey (ss58); Gepetto has no more of it. */
  hotkey: string;
  store: Store;
  repo: ClusterRepo;
  bus: EventBus;
  link: ControllerLink;
  metrics: Metrics;
  clock: Clock;
  log: Logger;
  /** Why nothing can be committed now; undefined when it can. */
  obstacle?: (() => Promise<string | undefined>) | undefined;
  /** Told of `main` after each pass. */
  rerender?: Pick<Rerender, 'after'> | undefined;
  /** Server and chute of a deployment, for whoever renders it; set before the first commit. */
  onLookup(lookup: (spec: DeploymentSpec) => { server: Server; chute: Chute } | undefined): void;
}

export interface Gepetto {
  /** Plan soon: somebody pushed. */
  wake(): void;
  stop(): Promise<void>;
}

/** Upstream looks every 15 s; here it is the safety net behind events (gepetto.md 1.6). */
const passIntervalMs = 15_000;
const settleMs = 50;

export async function startGepetto(parts: GepettoParts): Promise<Gepetto> {
  const { hotkey, store, repo, bus, link, metrics, clock, log } = parts;
  const hints = emptyHints();
  const offers = await restoreOffers(store, clock);
  const look = await createLook({
    hotkey,
    repo,
    store,
    feeds: link.feeds,
    observe: link.observe,
    hints,
    offers,
    clock,
    onBadMain: (error) => log.error(`branch main cannot be used, the last good one goes on: ${messageOf(error)}`),
  });
  parts.onLookup((spec) => look.lookup(spec.server, spec.chuteId));
  const strategist = createStrategist({ clock, onOutcome: metrics.strategy });
  let memory: PassMemory = { ...emptyMemory, failures: await rememberReverts({ clock, store }) };
  const told = { held: '', blocked: '', proposed: '' };

  const questions = createGoneQuestions({ link, gone: hints.goneChutes, clock, wake: () => loop.wake(), log });

  async function pass(): Promise<boolean> {
    let seen: Snapshot | undefined;
    const result = await runPass(
      {
        clock,
        random: systemRandom,
        async look() {
          seen = await look.snapshot();
          questions.askAbout(seen.world);
          return seen;
        },
        advise: (strategy, world) => strategist.advise(strategy, () => questionOf(world, clock.now())),
        link,
        repo,
        store,
        obstacle: parts.obstacle,
        report: (message, detail) => log.error({ ...detail }, message),
      },
      memory,
    );
    memory = result.memory;
    for (const jobId of result.memory.attempted ?? []) offers.attempt(jobId, clock.now());
    tell(result);
    link.report({
      configCommit: seen?.configCommit,
      held: result.held,
      blocked: result.blocked.map(({ sentence }) => sentence),
      memory,
    });
    if (seen) {
      forgetFulfilled(seen);
      parts.rerender?.after(look.main());
    }
    // What did land is known by now.
    if (result.failure !== undefined) throw result.failure;
    return result.again;
  }

  function tell(result: PassResult): void {
    if (result.committed.length > 0) metrics.commit('live');
    for (const decision of result.committed) {
      metrics.decision(decision);
      const { chuteName, server, deploymentId } = decision.spec;
      const reason = decision.kind === 'deploy' ? decision.spec.reason : decision.reason;
      log.info({ deploymentId, reason }, `${decision.kind} ${chuteName} on ${server}`);
    }
    const held = result.held.join('; ');
    if (held && held !== told.held) log.error(held);
    const blocked = result.blocked.map(({ sentence }) => sentence).join('; ');
    if (blocked && blocked !== told.blocked) log.info(blocked);
    const proposed = result.proposed.map(({ kind, spec }) => `${kind} ${spec.chuteName} on ${spec.server}`).join(', ');
    if (proposed && proposed !== told.proposed) log.info(`proposed on branch proposed: ${proposed}`);
    Object.assign(told, { held, blocked, proposed });
  }

  function forgetFulfilled({ world }: Snapshot): void {
    const alive = new Set(
      [...world.lifecycles.values()].filter((row) => row.goneAt === undefined).map((row) => row.instanceId),
    );
    for (const instanceId of hints.rollingInstances)
      if (!alive.has(instanceId)) hints.rollingInstances.delete(instanceId);
  }

  const loop = startLoop({
    clock,
    intervalMs: passIntervalMs,
    settleMs,
    pass,
    onError: (error) => log.error({ err: error }, `pass failed: ${messageOf(error)}`),
  });

  const effects = {
    store,
    hotkey,
    now: () => clock.now(),
    refresh: link.refreshFeeds,
    offers,
    rolling: (instanceId: string) => hints.rollingInstances.add(instanceId),
    suspectGone: (...said: Parameters<typeof questions.suspect>) => void questions.suspect(...said),
  };
  const unsubscribe = bus.subscribe(async (event) => {
    try {
      await handleEvent(event, effects);
      metrics.event('handled', event.type);
    } catch (error) {
      metrics.event('failed', event.type);
      throw error;
    }
    loop.wake();
  });
  link.onChange(() => loop.wake());

  return {
    wake: () => loop.wake(),
    async stop() {
      await unsubscribe();
      await loop.stop();
      strategist.close();
    },
  };
}
