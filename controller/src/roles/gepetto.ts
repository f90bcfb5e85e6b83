// Role `gepetto`: turns events and time into passes. It writes commits and the store, nothing else; launching is the controller's, given
// here as a function.

import type { Logger } from 'pino';
import type { Clock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { ClusterRepo, EventBus, Members, Store, ValidatorClient } from '../domain/ports.ts';
import { systemRandom } from '../domain/random.ts';
import { handleEvent } from '../gepetto/events.ts';
import { type PassPorts, type PassResult, runPass, type Snapshot } from '../gepetto/pass.ts';
import { emptyMemory } from '../gepetto/world.ts';
import type { Hints, Look } from './look.ts';
import { startLoop } from './loop.ts';
import { sweepSecrets } from './sweep.ts';

export interface GepettoParts {
  look: Look;
  hints: Hints;
  store: Store;
  repo: ClusterRepo;
  members: Members;
  bus: EventBus;
  clock: Clock;
  log: Logger;
  hotkey: string;
  clients: ReadonlyMap<string, ValidatorClient>;
  launcher: Pick<PassPorts, 'launch' | 'cancel'>;
  refreshFeeds(): void;
  /** After each look, before the plan. */
  onLook(snapshot: Snapshot): void;
}

export interface Gepetto {
  wake(): void;
  /** The last snapshot and what the last pass held back; undefined before the first. */
  last(): { snapshot: Snapshot; result: PassResult } | undefined;
  stop(): Promise<void>;
}

/** Upstream looks every 15 s; here it is the safety net behind events (gepetto.md 1.6). */
const passIntervalMs = 15_000;
const sweepIntervalMs = 60_000;
const settleMs = 50;

export function startGepetto(parts: GepettoParts): Gepetto {
  const { look, hints, store, repo, members, bus, clock, log, clients } = parts;
  let memory = emptyMemory;
  let last: { snapshot: Snapshot; result: PassResult } | undefined;
  let sweepDue = 0;
  let heldBefore = '';

  async function suspectGone(validator: string, chuteId: string, version: string): Promise<void> {
    try {
      const chute = await clients.get(validator)?.chute(chuteId, version);
      if (chute === undefined && clients.has(validator)) hints.goneChutes.add(chuteId);
      loop.wake();
    } catch (error) {
      log.warn({ chuteId }, `not known whether the chute is gone: ${messageOf(error)}`);
    }
  }

  /** A chute that left the feed without a word is asked about by name: silence is no statement. */
  function askAboutMissing({ world }: Snapshot): void {
    const asked = new Set<string>();
    for (const spec of world.desired.values()) {
      const known = world.chutes.has(spec.chuteId) || world.goneChutes.has(spec.chuteId) || asked.has(spec.chuteId);
      if (known || world.feeds.get(spec.validator)?.chutes.fetchedAt === undefined) continue;
      asked.add(spec.chuteId);
      void suspectGone(spec.validator, spec.chuteId, spec.version);
    }
  }

  async function snapshotAndTell(): Promise<Snapshot> {
    const snapshot = await look.snapshot();
    parts.onLook(snapshot);
    askAboutMissing(snapshot);
    return snapshot;
  }

  async function pass(): Promise<boolean> {
    let seen: Snapshot | undefined;
    const result = await runPass(
      {
        clock,
        random: systemRandom,
        look: async () => {
          seen = await snapshotAndTell();
          return seen;
        },
        ...parts.launcher,
        repo,
        store,
        deleteInstance: async (validator, chuteId, instanceId) =>
          clients.get(validator)?.deleteInstance(chuteId, instanceId),
        report: (message, detail) => log.error({ ...detail }, message),
      },
      memory,
    );
    memory = result.memory;
    if (seen) last = { snapshot: seen, result };
    tell(result);
    forgetFulfilled(result);
    if (seen && clock.now() >= sweepDue) {
      sweepDue = clock.now() + sweepIntervalMs;
      const { lifecycles, desired } = (await look.snapshot()).world;
      await sweepSecrets({ members, lifecycles, desired, log: (message) => log.warn(message) });
    }
    return result.again;
  }

  function tell(result: PassResult): void {
    for (const decision of result.committed) {
      const { chuteName, server, deploymentId } = decision.spec;
      const reason = decision.kind === 'deploy' ? decision.spec.reason : decision.reason;
      log.info({ deploymentId, reason }, `${decision.kind} ${chuteName} on ${server}`);
    }
    const held = result.held.join('; ');
    if (held && held !== heldBefore) log.error(held);
    heldBefore = held;
  }

  function forgetFulfilled(result: PassResult): void {
    const world = last?.snapshot.world;
    if (!world) return;
    const removed = new Set(result.committed.filter((d) => d.kind === 'remove').map((d) => d.spec.deploymentId));
    for (const deploymentId of hints.undeployRequests) {
      if (removed.has(deploymentId) || !world.desired.has(deploymentId)) hints.undeployRequests.delete(deploymentId);
    }
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

  const unsubscribe = bus.subscribe(async (event) => {
    await handleEvent(event, {
      store,
      hotkey: parts.hotkey,
      now: () => clock.now(),
      refresh: parts.refreshFeeds,
      rolling: (instanceId) => hints.rollingInstances.add(instanceId),
      suspectGone: (validator, chuteId, version) => void suspectGone(validator, chuteId, version),
    });
    loop.wake();
  });
  members.onChange(() => loop.wake());

  return {
    wake: () => loop.wake(),
    last: () => last,
    async stop() {
      await unsubscribe();
      await loop.stop();
    },
  };
}
