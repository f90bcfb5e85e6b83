// What a person takes out of `live`, as `git revert` of a deploy does, is respected: the chute stays away from that server for a while,
// also over a restart of the miner, and `why` tells it.

import type { Clock } from '../domain/clock.ts';
import type { DeploymentLifecycle } from '../domain/deployment.ts';
import { uuid5 } from '../domain/ids.ts';
import type { Store, StoredDecision } from '../domain/ports.ts';
import { holdOff, type Memory, pairKey } from './world.ts';

/** How long the same chute is not put on the same server again, ms. */
export const revertCooldownMs = 6 * 3_600_000;

const because = 'a person took it out of live';

/** `rows`: deployments that were just found gone from `live` without a decision. */
export function avoidReverted(
  failures: Memory['failures'],
  rows: readonly Pick<DeploymentLifecycle, 'chuteId' | 'server'>[],
  at: number,
): Memory['failures'] {
  return rows.reduce(
    (known, { chuteId, server }) => holdOff(known, pairKey(chuteId, server), at + revertCooldownMs, because),
    failures,
  );
}

export interface RevertPorts {
  clock: Pick<Clock, 'now'>;
  store: Pick<Store, 'decisions' | 'saveDecisions'>;
}

/** Keeps each with the decisions, as long as its own decision is known. May be repeated. */
export async function noteReverts(
  rows: readonly DeploymentLifecycle[],
  commit: string,
  { clock, store }: RevertPorts,
): Promise<void> {
  const notes: StoredDecision[] = [];
  for (const { deploymentId } of rows) {
    const [made] = await store.decisions(1, { deploymentId });
    if (!made) continue;
    const { spec } = made.decision;
    const decisionId = uuid5(`reverted ${deploymentId}`);
    const decision = { kind: 'remove' as const, decisionId, spec, reason: 'reverted' as const, because };
    notes.push({ decisionId, decidedAt: clock.now(), decision, commit });
  }
  if (notes.length > 0) await store.saveDecisions(notes);
}

const mostRemembered = 10_000;

/** What earlier runs of the miner saw taken out, for a memory that starts empty. */
export async function rememberReverts({ clock, store }: RevertPorts): Promise<Memory['failures']> {
  const stored = await store.decisions(mostRemembered, { reason: 'reverted' });
  const since = clock.now() - revertCooldownMs;
  return stored
    .filter(({ decidedAt }) => decidedAt > since)
    .reduce(
      (known, { decidedAt, decision }) => avoidReverted(known, [decision.spec], decidedAt),
      new Map() as Memory['failures'],
    );
}
