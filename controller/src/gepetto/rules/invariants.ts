// What holds in every history, whatever happens in it: no GPU twice, no protected victim, no deletion from silence, a fixed point.

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../domain/random.ts';
import * as f from '../fixtures.ts';
import { plan } from '../plan.ts';
import { type Happening, happen, happening, kinds, rental, servers } from './histories.ts';
import { createModel, type Model, theToken } from './model.ts';

const hour = 60 * f.minute;

function noneTwice(kind: string, all: readonly string[]): void {
  assert.is(new Set(all).size, all.length, `${kind} twice: ${all.filter((one, i) => all.indexOf(one) !== i)}`);
}

/** In git, and among the pods that are really there. */
function checkUnique({ live, pods }: Model): void {
  const specs = [...live().values()];
  assert.not.ok(JSON.stringify(specs).includes(theToken), 'a token in git');
  noneTwice(
    'GPU in git',
    specs.flatMap(({ gpuIds }) => gpuIds),
  );
  noneTwice(
    'node port in git',
    specs.flatMap(({ server, ports }) => ports.map(({ nodePort }) => `${server}:${nodePort}`)),
  );
  const there = [...pods.values()];
  noneTwice(
    'GPU of pods',
    there.flatMap(({ gpuIds }) => gpuIds),
  );
  noneTwice(
    'node port of pods',
    there.flatMap(({ server, nodePorts }) => nodePorts.map((port) => `${server}:${port}`)),
  );
}

/** Of everything removed since the last check: rightly so? */
function checkRemovals(model: Model): void {
  for (const { decision, world } of model.decided.splice(0)) {
    if (decision.kind === 'deploy') continue;
    const { spec, reason } = decision;
    const row = world.lifecycles.get(spec.deploymentId);
    // Decided by a pass that died before its commit: what it rested on may be over.
    if (row?.removedAt !== undefined) continue;
    if (reason === 'preempted') {
      const age = model.now() - (row?.activatedAt ?? model.now());
      assert.ok(spec.preemptible && spec.jobId === undefined && age > hour, 'a protected victim was removed');
      const chute = world.chutes.get(spec.chuteId);
      assert.ok(chute?.preemptible);
      const listed = [...(world.feeds.get(f.validator)?.globalInstances.items.values() ?? [])];
      assert.ok(listed.filter(({ chuteId }) => chuteId === spec.chuteId).length > 1, 'the last instance was removed');
    }
    if (reason === 'pod-lost') {
      assert.not(model.pods.has(spec.deploymentId), 'a pod that is there was called lost');
      const age = model.now() - (row?.committedAt ?? row?.plannedAt ?? 0);
      assert.ok(age >= 2 * f.minute, 'Argo CD had no time to make the pod');
    }
    if (reason === 'instance-deleted') {
      assert.not(model.instances.has(row?.instanceId ?? ''), 'an instance that is there was called deleted');
    }
    if (reason === 'server-deleted' || reason === 'chute-deleted') assert.unreachable(`${reason}, and nobody said so`);
  }
}

/** The same world, memory and seed give the same plan. */
function checkDeterminism(model: Model): void {
  const once = () => plan(model.look(), f.policy(), { now: model.now }, seededRandom(5), model.memory());
  assert.equal(once(), once());
}

/** A full fleet, hours old, of chutes that others run too: whoever is worth more may push in. */
async function grow(model: Model): Promise<void> {
  for (const { chuteId } of model.chutes.values()) model.foreign.set(chuteId, 3);
  for (let i = 0; i < 6; i++) {
    await model.pass();
    model.settle();
  }
  model.wait(5 * hour);
  await model.pass();
}

/** A job may be asked for once, unless the memory of it was taken away, as by a crash between its token and its row. */
function checkAttempts(model: Model, history: readonly Happening[]): void {
  const remembered = !history.some(({ what }) => what === 'lose the store' || what === 'crash');
  if (remembered) noneTwice('token for a job', model.attempts);
}

/** A pass right after a pass that left nothing open finds nothing to do. */
async function checkFixedPoint(model: Model): Promise<void> {
  for (let i = 0; i < 12; i++) {
    const result = await model.pass();
    // A refusal leaves room that the next pass may offer to another chute.
    if (!result?.again && result?.committed.length === 0 && result.refused === 0) break;
  }
  const launches = model.log.length;
  const result = await model.pass();
  const made = (result?.committed ?? []).map(({ kind, spec }) => `${kind} ${spec.chuteName}`);
  assert.is(made.length, 0, `planning again right after applying found something to do: ${made.join(', ')}`);
  const asked = model.log.slice(launches);
  assert.is(asked.length, 0, `planning again right after applying asked for a token: ${asked.join(', ')}`);
}

/** What was launched leads to a deployment or is forgotten; nothing holds a GPU for ever. */
async function checkNothingStuck(model: Model, history: readonly Happening[]): Promise<void> {
  model.silent.clear();
  model.staleFeeds(false);
  let held: readonly string[] = [];
  for (let i = 0; i < 5; i++) {
    held = (await model.pass())?.held ?? [];
    model.settle();
    model.wait(2 * f.minute);
  }
  // Much that left git by hand at once waits for a person.
  if (held.length > 0 && history.some(({ what }) => what === 'revert')) return;
  assert.equal(held, [], 'held back, and no person did anything');
  for (const row of model.rows.values()) {
    const holds = row.goneAt === undefined;
    const known = model.live().has(row.deploymentId) || row.removedAt !== undefined;
    const waits = (model.memory().waiting ?? []).some(
      ({ decision }) => decision.spec.deploymentId === row.deploymentId,
    );
    assert.ok(!holds || known || waits, 'a row holds GPUs and nobody knows why');
  }
}

async function checkHistory(history: readonly Happening[], seed: number, grown: boolean): Promise<void> {
  const chutes = [...kinds.map((kind, i) => f.chute(`chute ${i}`, kind)), rental];
  const model = createModel({ servers, chutes, seed });
  if (grown) await grow(model);
  for (const event of history) {
    await happen(model, event);
    checkUnique(model);
    checkRemovals(model);
  }
  checkDeterminism(model);
  checkAttempts(model, history);
  await checkFixedPoint(model);
  await checkNothingStuck(model, history);
  checkUnique(model);
  checkRemovals(model);
}

/** `part`: another one draws other histories. None is left out for lack of time. */
export function testHistories(numRuns: number, part: number): void {
  const seed = (fc.readConfigureGlobal()?.seed ?? Date.now()) + part;
  const title = `${numRuns} histories, part ${part}: no GPU or port twice, no token in git, no protected victim, no deletion from silence, a fixed point, determinism`;
  test(title, async () => {
    const drawn = fc.asyncProperty(
      fc.array(happening, { minLength: 4, maxLength: 40 }),
      fc.integer(),
      fc.boolean(),
      checkHistory,
    );
    await fc.assert(drawn, { numRuns, seed, includeErrorInReport: true });
  });
  test.run();
}
