import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { StoredDecision } from '../domain/ports.ts';
import * as f from './fixtures.ts';
import { noteReverts, rememberReverts, revertCooldownMs } from './revert.ts';
import { pairKey } from './world.ts';

const x = f.chute('x');
const spec = f.spec(x, f.servers.B);
const row = f.row(spec);

function made(): StoredDecision {
  const { decisionId } = spec;
  const decision = {
    kind: 'deploy' as const,
    decisionId,
    spec,
    value: 1,
    numbers: {},
    alternatives: [],
    replicasBefore: 0,
  };
  return { decisionId, decidedAt: f.now, decision, commit: 'c1' };
}

function reasonOf({ decision }: StoredDecision): string {
  return decision.kind === 'deploy' ? decision.spec.reason : decision.reason;
}

function scene(...known: StoredDecision[]) {
  const saved = new Map(known.map((one) => [one.decisionId, one]));
  let now = f.now;
  const ports = {
    clock: { now: () => now },
    store: {
      async decisions(limit: number, { deploymentId, reason }: { deploymentId?: string; reason?: string } = {}) {
        const fits = (one: StoredDecision) =>
          (deploymentId === undefined || one.decision.spec.deploymentId === deploymentId) &&
          (reason === undefined || reasonOf(one) === reason);
        return [...saved.values()].filter(fits).slice(0, limit);
      },
      async saveDecisions(all: readonly StoredDecision[]) {
        for (const one of all) saved.set(one.decisionId, one);
      },
    },
  };
  return { ports, saved, wait: (ms: number) => (now += ms) };
}

test('what a person took out is kept with the decisions, once, with the commit', async () => {
  const { ports, saved } = scene(made());
  await noteReverts([row], 'c2', ports);
  await noteReverts([row], 'c2', ports);
  assert.equal(
    [...saved.values()].map((one) => [one.decision.kind, reasonOf(one), one.commit]),
    [
      ['deploy', 'scale-up', 'c1'],
      ['remove', 'reverted', 'c2'],
    ],
  );
});

test('of a deployment whose decision is not known nothing is kept', async () => {
  const { ports, saved } = scene();
  await noteReverts([row], 'c2', ports);
  assert.is(saved.size, 0);
});

test('after a restart the chute stays away from that server for what is left of six hours, and no longer', async () => {
  const { ports, wait } = scene(made());
  await noteReverts([row], 'c2', ports);
  wait(revertCooldownMs - f.minute);
  const known = await rememberReverts(ports);
  assert.is(known.get(pairKey(x.chuteId, 'b'))?.until, f.now + revertCooldownMs);
  wait(f.minute);
  assert.is((await rememberReverts(ports)).size, 0);
});

test.run();
