// Random histories of a miner with crashes at every step of a pass: what must never happen, whatever happens.
// PROPERTY_RUNS sets the number of histories.

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../domain/random.ts';
import * as f from '../fixtures.ts';
import { plan } from '../plan.ts';
import { createModel, type Model } from './model.ts';

const numRuns = Number(process.env.PROPERTY_RUNS ?? 100);
const hour = 60 * f.minute;

const servers = [
  f.server('b', { count: 2 }),
  f.server('c', { count: 4, hourlyCost: 1 }),
  f.server('d', { model: 'a6000', count: 2, hourlyCost: 0.5 }),
];
const kinds = [
  { gpuCount: 1, effectiveComputeMultiplier: 1 },
  { gpuCount: 2, effectiveComputeMultiplier: 3 },
  { gpuCount: 4, effectiveComputeMultiplier: 2 },
  { gpuCount: 1, effectiveComputeMultiplier: 0.4, supportedGpus: ['a6000', 'h100'] },
  { gpuCount: 1, effectiveComputeMultiplier: 2, preemptible: false },
];
const rental = f.chute('rental', { jobOnly: true, gpuCount: 2 });

/** What may happen between two looks; `n` chooses whom it happens to. */
type Happening =
  | {
      what:
        | 'pass'
        | 'settle'
        | 'sync'
        | 'drain'
        | 'claim'
        | 'claim unheard'
        | 'activate'
        | 'activate unheard'
        | 'restart';
    }
  | { what: 'crash'; call: number }
  | { what: 'wait'; minutes: number }
  | {
      what:
        | 'end instance'
        | 'end instance unheard'
        | 'fail pod'
        | 'silence'
        | 'return'
        | 'feeds fail'
        | 'feeds return'
        | 'price'
        | 'version'
        | 'roll'
        | 'job'
        | 'undeploy'
        | 'others'
        | 'revert'
        | 'refuse'
        | 'lose the store';
      n: number;
    };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant('pass' as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      what: fc.constantFrom(
        ...(['settle', 'sync', 'drain', 'claim', 'claim unheard', 'activate', 'activate unheard', 'restart'] as const),
      ),
    }),
  },
  { weight: 5, arbitrary: fc.record({ what: fc.constant('crash' as const), call: fc.integer({ min: 0, max: 25 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({ what: fc.constant('wait' as const), minutes: fc.constantFrom(1, 3, 40, 70, 400) }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      what: fc.constantFrom(
        ...([
          'end instance',
          'end instance unheard',
          'fail pod',
          'silence',
          'return',
          'feeds fail',
          'feeds return',
        ] as const),
        ...([
          'price',
          'version',
          'roll',
          'job',
          'undeploy',
          'others',
          'revert',
          'refuse',
          'price',
          'job',
          'lose the store',
        ] as const),
      ),
      n: fc.nat({ max: 50 }),
    }),
  },
);

/** Answers of the validator, of a member that takes no Secret (-1), of nobody (0). */
const refusals = [undefined, 423, 403, 503, 0, -1];

function pick<T>(all: Iterable<T>, n: number): T | undefined {
  const list = [...all];
  return list[n % Math.max(1, list.length)];
}

async function happen(model: Model, event: Happening): Promise<void> {
  switch (event.what) {
    case 'pass':
      await model.pass();
      return;
    case 'crash':
      await model.pass(event.call);
      return;
    case 'restart':
      model.forget();
      return;
    case 'wait':
      model.wait(event.minutes * f.minute);
      return;
    case 'claim unheard':
      model.claim(false);
      return;
    case 'activate unheard':
      model.activate(false);
      return;
    case 'settle':
    case 'sync':
    case 'drain':
    case 'claim':
    case 'activate':
      model[event.what]();
      return;
    default:
      befall(model, event.what, event.n);
  }
}

/** What the world does to the miner. */
function befall(model: Model, what: Exclude<Happening, { what: 'crash' | 'wait' | 'pass' }>['what'], n: number): void {
  const chute = pick(model.chutes.values(), n);
  const row = pick(
    [...model.rows.values()].filter((one) => model.instances.has(one.instanceId ?? '')),
    n,
  );
  switch (what) {
    case 'end instance':
    case 'end instance unheard':
      if (!row) return;
      model.instances.delete(row.instanceId ?? '');
      if (what === 'end instance') row.instanceGoneAt ??= model.now();
      return;
    case 'fail pod': {
      const pod = pick(model.pods.values(), n);
      if (pod) model.pods.set(pod.deploymentId, { ...pod, phase: 'Failed' });
      return;
    }
    case 'silence':
      model.silent.set(pick(servers, n)?.name ?? '', model.now());
      return;
    case 'return':
      model.silent.clear();
      return;
    case 'feeds fail':
    case 'feeds return':
      model.staleFeeds(what === 'feeds fail');
      return;
    case 'price':
      if (chute) model.chutes.set(chute.chuteId, { ...chute, effectiveComputeMultiplier: (n % 9) / 2, bounty: n });
      return;
    case 'version':
      if (chute) model.chutes.set(chute.chuteId, { ...chute, version: `v${n}` });
      return;
    case 'roll':
      if (row?.instanceId) model.rolling.add(row.instanceId);
      return;
    case 'job': {
      const terms = {
        chuteId: rental.chuteId,
        gpuCount: 1 + (n % 2),
        computeMultiplier: n % 7,
        diskGb: 10,
        excluded: [],
      };
      model.jobs.set(f.id(`job ${n}`), { jobId: f.id(`job ${n}`), ...terms, attempted: false });
      return;
    }
    case 'undeploy':
      if (row) row.undeployAt ??= model.now();
      return;
    case 'revert':
      model.revert(pick(model.live().keys(), n) ?? '');
      return;
    case 'refuse':
      model.refusing(refusals[n % refusals.length]);
      return;
    case 'lose the store':
      if (n < 10) model.loseStore();
      return;
    case 'others':
      if (chute) model.foreign.set(chute.chuteId, n % 4);
      return;
  }
}

function noneTwice(kind: string, all: readonly string[]): void {
  assert.is(new Set(all).size, all.length, `${kind} twice: ${all.filter((one, i) => all.indexOf(one) !== i)}`);
}

/** In git, and among the pods that are really there. */
function checkUnique({ live, pods }: Model): void {
  const specs = [...live().values()];
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

test(`${numRuns} histories: no GPU or port twice, no protected victim, no deletion from silence, a fixed point, determinism`, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(happening, { minLength: 4, maxLength: 40 }),
      fc.integer(),
      fc.boolean(),
      async (history, seed, grown) => {
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
      },
    ),
    { numRuns, includeErrorInReport: true, interruptAfterTimeLimit: numRuns > 1000 ? undefined : 60_000 },
  );
});

test.run();
