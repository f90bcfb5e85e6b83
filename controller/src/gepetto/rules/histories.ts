// What may befall a miner: random histories with crashes between any two steps of a pass, to be drawn by fast-check.

import fc from 'fast-check';
import * as f from '../fixtures.ts';
import type { Model } from './model.ts';

export const servers = [
  f.server('b', { count: 2 }),
  f.server('c', { count: 4, hourlyCost: 1 }),
  f.server('d', { model: 'a6000', count: 2, hourlyCost: 0.5 }),
];
export const kinds = [
  { gpuCount: 1, effectiveComputeMultiplier: 1 },
  { gpuCount: 2, effectiveComputeMultiplier: 3 },
  { gpuCount: 4, effectiveComputeMultiplier: 2 },
  { gpuCount: 1, effectiveComputeMultiplier: 0.4, supportedGpus: ['a6000', 'h100'] },
  { gpuCount: 1, effectiveComputeMultiplier: 2, preemptible: false },
];
export const rental = f.chute('rental', { jobOnly: true, gpuCount: 2 });

/** What may happen between two looks; `n` chooses whom it happens to. */
export type Happening =
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

export const happening: fc.Arbitrary<Happening> = fc.oneof(
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

export async function happen(model: Model, event: Happening): Promise<void> {
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
