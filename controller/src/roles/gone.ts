// Asks the validator by name whether a version of a chute is gone: after its word that it is, and when a deployment runs what its feed does
// not list. Only a 404 is a statement; silence and a failed call leave everything as it is (gepetto.md D9, D19, E10, design 3.11).

import type { Clock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { ControllerLink } from '../domain/ports.ts';
import { versionKey } from '../gepetto/statements.ts';
import type { World } from '../gepetto/world.ts';

export interface GoneParts {
  link: Pick<ControllerLink, 'chute'>;
  /** Filled with what is gone: the chute's id, and the version. */
  gone: Set<string>;
  clock: Pick<Clock, 'now'>;
  /** Called after each answer. */
  wake(): void;
  log: { warn(fields: object, message: string): void };
}

export interface GoneQuestions {
  /** Somebody said so. */
  suspect(validator: string, chuteId: string, version: string): Promise<void>;
  /** Ask about whatever runs and is not listed, each at most once a minute. Does not wait for the answers. */
  askAbout(world: Pick<World, 'chutes' | 'desired' | 'feeds' | 'goneChutes'>): void;
}

const askAgainMs = 60_000;

export function createGoneQuestions({ link, gone, clock, wake, log }: GoneParts): GoneQuestions {
  const askedAt = new Map<string, number>();
  /** When a version was first seen beside a newer one, and the list of rolling updates that did not name it then. */
  const superseded = new Map<string, { since: number; listAt: number }>();

  async function suspect(validator: string, chuteId: string, version: string): Promise<void> {
    const key = versionKey(chuteId, version);
    askedAt.set(key, clock.now());
    try {
      // The chute counts as gone only as long as its feed does not list it in another version.
      if ((await link.chute(validator, chuteId, version)) === undefined) gone.add(chuteId).add(key);
      wake();
    } catch (error) {
      askedAt.delete(key);
      log.warn({ chuteId }, `not known whether the chute is gone: ${messageOf(error)}`);
    }
  }

  /** A rolling update may be on its way that its list does not show yet: a later list has to say the same. */
  function isLeftOver(
    key: string,
    chuteId: string,
    listAt: number | undefined,
    rolling: ReadonlyMap<string, unknown>,
  ): boolean {
    if (listAt === undefined || rolling.has(chuteId)) {
      superseded.delete(key);
      return false;
    }
    const first = superseded.get(key) ?? { since: clock.now(), listAt };
    superseded.set(key, first);
    return listAt > first.listAt && clock.now() - first.since >= askAgainMs;
  }

  function askAbout({ chutes, desired, feeds, goneChutes }: Parameters<GoneQuestions['askAbout']>[0]): void {
    const running = new Set<string>();
    for (const { chuteId, version, validator, jobId } of desired.values()) {
      const key = versionKey(chuteId, version);
      if (running.has(key)) continue;
      running.add(key);
      const current = chutes.get(chuteId);
      const feed = feeds.get(validator);
      if (current?.version === version || goneChutes.has(key) || feed?.chutes.fetchedAt === undefined) continue;
      // A rental keeps its version to the end (gepetto.md D8).
      if (
        current &&
        (jobId !== undefined || !isLeftOver(key, chuteId, feed.rollingUpdates.fetchedAt, feed.rollingUpdates.items))
      )
        continue;
      if (clock.now() - (askedAt.get(key) ?? Number.NEGATIVE_INFINITY) < askAgainMs) continue;
      void suspect(validator, chuteId, version);
    }
    for (const known of [askedAt, superseded]) for (const key of known.keys()) if (!running.has(key)) known.delete(key);
    for (const key of gone) if (key.includes(':') && !running.has(key)) gone.delete(key);
  }

  return { suspect, askAbout };
}
