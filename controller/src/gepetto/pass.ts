// One pass: look, plan, launch, commit, record. Everything before the commit can be undone or left to the next pass; the commit is the
// decision. Passes never overlap: whoever calls this runs them one after the other.

import type { Clock } from '../domain/clock.ts';
import type { Policy } from '../domain/config.ts';
import type { Decision, DeployDecision } from '../domain/decision.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import { lifecycleOf } from '../domain/lifecycle.ts';
import type { ClusterRepo, ControllerLink, LiveTree, Store } from '../domain/ports.ts';
import type { Random } from '../domain/random.ts';
import type { Effect } from './effects.ts';
import { plan } from './plan.ts';
import { backOff, holdOff, type Memory, pairKey, type World } from './world.ts';

export interface Snapshot {
  world: World;
  policy: Policy;
  /** Commit of `main` the policy and servers came from. */
  configCommit: string;
  live: LiveTree;
}

export interface PassPorts {
  clock: Pick<Clock, 'now'>;
  random: Random;
  look(): Promise<Snapshot>;
  link: Pick<ControllerLink, 'launch' | 'cancel' | 'deleteInstance'>;
  repo: Pick<ClusterRepo, 'commitLive' | 'readLive'>;
  store: Pick<Store, 'addLifecycle' | 'mark' | 'linkInstance' | 'markInstance' | 'saveDecisions'>;
  /** Something that a person should read. */
  report(message: string, detail?: Record<string, unknown>): void;
}

export interface PassResult {
  memory: Memory;
  committed: readonly Decision[];
  refused: number;
  held: readonly string[];
  /** A refusal left room: plan again at once. */
  again: boolean;
}

const maxCommitTries = 5;
const unreachableRetryMs = 30_000;

export async function runPass(ports: PassPorts, memory: Memory): Promise<PassResult> {
  const snapshot = await ports.look();
  const planned = plan(snapshot.world, snapshot.policy, ports.clock, ports.random, memory);
  for (const effect of planned.effects) await carryOut(effect, ports);
  const launched = await launchAll(planned.deploys, ports, planned.memory);
  const decisions = [...planned.removals, ...launched.deploys];
  const committed = await commitAll(decisions, snapshot, ports);
  return {
    memory: launched.memory,
    committed,
    refused: launched.refused,
    held: planned.held,
    again: launched.refused > 0 && launched.deploys.length > 0,
  };
}

async function launchAll(deploys: readonly DeployDecision[], ports: PassPorts, memory: Memory) {
  const outcomes = await ports.link.launch(deploys.map((decision) => decision.spec));
  const now = ports.clock.now();
  let { refusals, failures } = memory;
  const granted: DeployDecision[] = [];
  for (const [i, decision] of deploys.entries()) {
    const outcome = outcomes[i];
    const { chuteId, server } = decision.spec;
    if (outcome?.granted) {
      granted.push({ ...decision, spec: { ...decision.spec, configId: outcome.configId } });
    } else if (outcome?.status === -1) {
      failures = backOff(failures, pairKey(chuteId, server), now, outcome.detail);
    } else if (!outcome || outcome.status === 0 || outcome.status >= 500) {
      refusals = holdOff(refusals, chuteId, now + unreachableRetryMs, outcome?.detail ?? 'no answer');
    } else {
      refusals = backOff(refusals, chuteId, now, `${outcome.status}: ${outcome.detail}`);
    }
  }
  return { deploys: granted, refused: deploys.length - granted.length, memory: { ...memory, refusals, failures } };
}

async function commitAll(
  decisions: readonly Decision[],
  snapshot: Snapshot,
  ports: PassPorts,
): Promise<readonly Decision[]> {
  const deploys = decisions.filter((decision) => decision.kind === 'deploy');
  let made: Awaited<ReturnType<typeof commitOnTop>>;
  try {
    made = await commitOnTop(decisions, snapshot, ports);
  } catch (error) {
    await ports.link.cancel(deploys.map((decision) => decision.spec));
    if (!(error instanceof MinerError) || error.code !== 'E-GUARD') throw error;
    ports.report(`a tree that breaks a rule was not written: ${error.message}`, error.detail);
    // What was to be removed is right whatever is wrong with the deploys.
    return deploys.length === 0
      ? []
      : commitAll(
          decisions.filter((decision) => decision.kind === 'remove'),
          snapshot,
          ports,
        );
  }
  // From here on nothing is taken back: what is committed starts with the Secret it was given.
  if (made.committed.length > 0) await record(made.committed, made.live.commit, ports);
  return made.committed;
}

/** Someone else may move `live` between looking and committing; what they removed is not removed again. */
async function commitOnTop(decisions: readonly Decision[], snapshot: Snapshot, ports: PassPorts) {
  let live = snapshot.live;
  for (let attempt = 1; ; attempt++) {
    const present = live.deployments;
    const current = decisions.filter((d) => d.kind === 'deploy' || present.has(d.spec.deploymentId));
    if (current.length === 0) return { live, committed: current };
    try {
      const base = live.commit;
      return {
        live: await ports.repo.commitLive({ decisions: current, configCommit: snapshot.configCommit, base }),
        committed: current,
      };
    } catch (error) {
      const conflict = error instanceof MinerError && error.code === 'E-GIT-CONFLICT';
      if (!conflict || attempt === maxCommitTries) throw error;
      live = await ports.repo.readLive();
    }
  }
}

async function record(decisions: readonly Decision[], commit: string, ports: PassPorts): Promise<void> {
  const now = ports.clock.now();
  const idsOf = (kind: Decision['kind']) =>
    decisions.filter((decision) => decision.kind === kind).map((decision) => decision.spec.deploymentId);
  await ports.store.mark('committedAt', idsOf('deploy'), now);
  await ports.store.mark('removedAt', idsOf('remove'), now);
  await ports.store.saveDecisions(
    decisions.map((decision) => ({ decisionId: decision.decisionId, decidedAt: now, decision, commit })),
  );
}

async function carryOut(effect: Effect, ports: PassPorts): Promise<void> {
  const { store, clock } = ports;
  switch (effect.kind) {
    case 'adopt':
      await store.addLifecycle([{ ...lifecycleOf(effect.spec, clock.now()), committedAt: clock.now() }]);
      return;
    case 'mark':
      await store.mark(effect.step, [effect.deploymentId], effect.at);
      return;
    case 'link-instance':
      await store.linkInstance(effect.configId, effect.instanceId, effect.at);
      return;
    case 'mark-instance':
      await store.markInstance(effect.step, { instanceId: effect.instanceId }, effect.at);
      return;
    case 'delete-instance':
      try {
        await ports.link.deleteInstance(effect.validator, effect.chuteId, effect.instanceId);
      } catch (error) {
        // The next pass asks again.
        ports.report(`instance ${effect.instanceId} could not be deleted at the validator: ${messageOf(error)}`);
        return;
      }
      await store.markInstance('instanceGoneAt', { instanceId: effect.instanceId }, clock.now());
  }
}
