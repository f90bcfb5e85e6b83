import { seededRandom } from '@miner/controller/domain/random.ts';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { TraceRecord } from './format.ts';
import { easing, runMultiplier } from './multiplier.ts';
import type { Action, Snapshot, TraceStrategy } from './protocol.ts';
import { createReplay, replay } from './replay.ts';
import { chute, deploy, makeTrace, preempt, server, undeploy } from './testing.ts';

const duration = 12000;
const names = ['a', 'b', 'c'] as const;

/** A busy little market: everything that a trace may do, at random times. */
function marketOf(seed: number) {
  const random = seededRandom(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const records: TraceRecord[] = [];
  for (let i = 0; i < 120; i++) {
    const t = Math.round(random() * duration * 10) / 10;
    const chute_id = pick(names);
    const makers: (() => TraceRecord)[] = [
      () => ({ t, type: 'utilization', chute_id, target_count: Math.floor(random() * 6), scalable: random() < 0.9 }),
      () => ({ t, type: 'instance_activated', chute_id, n: 1, miner: 'm' }),
      () => ({ t, type: 'instance_deleted', chute_id, n: 1, miner: 'm' }),
      () => ({ t, type: 'bounty_change', chute_id, bounty_id: `b${i}`, state: 'open' }),
      () => ({ t, type: 'em_change', chute_id, urgency: 1 + random(), manual: 1 }),
      () => ({ t, type: 'server_down', server: 's', reason: '' }),
      () => ({ t, type: 'server_up', server: 's' }),
      () => ({ t, type: 'fault', scope: { chute_id }, until: t + 300, fail_after_s: 50 }),
      () => ({ t, type: 'outage', until: t + 60, mode: pick(['error', 'empty'] as const) }),
    ];
    records.push(pick(makers)());
  }
  const chutes = names.map((id, i) => chute(id, { node_selector: { gpu_count: i + 1 }, sim: { model_gb: 60 } }));
  return makeTrace({ servers: [server('s'), server('t')], chutes, records, duration });
}

/** Any actions at all, allowed or not. */
function anything(seed: number): TraceStrategy {
  const random = seededRandom(seed);
  return {
    act({ servers }: Snapshot): Action[] {
      const own = servers.flatMap(({ deployments }) => deployments.map(({ deployment_id }) => deployment_id));
      const one = own[Math.floor(random() * own.length)] ?? 'none';
      const id = names[Math.floor(random() * 3)] ?? 'a';
      const on = random() < 0.5 ? 's' : 't';
      if (random() < 0.6) return [deploy(id, on), deploy('a', on)];
      return random() < 0.5 ? [undeploy(one)] : [preempt([one], id, on)];
    },
  };
}

const seeds = fc.integer({ min: 0, max: 1e6 });

test('the same trace and the same strategy give the same result', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const twice = [1, 2].map(() => replay(marketOf(seed), anything(seed)));
      assert.equal(twice[0], twice[1]);
    }),
    { numRuns: 10 },
  );
});

test('whatever a strategy does, no GPU is in two deployments, and each is free, draining or in use', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const run = createReplay(marketOf(seed));
      const strategy = anything(seed);
      for (let snapshot = run.next(); snapshot; snapshot = run.next()) {
        for (const { gpu_count, status, deployments, free_gpu_ids, draining } of snapshot.servers) {
          const used = deployments.flatMap(({ gpu_ids }) => gpu_ids);
          const all = [...used, ...free_gpu_ids, ...draining.map(({ gpu_id }) => gpu_id)];
          assert.is(new Set(all).size, all.length);
          assert.is(all.length, status === 'down' ? 0 : gpu_count);
        }
        run.answer(strategy.act(snapshot));
      }
    }),
    { numRuns: 10 },
  );
});

test('the score equals the multiplier summed second by second', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const random = seededRandom(seed);
      const records = Array.from({ length: 6 }, (): TraceRecord => {
        const t = Math.floor(random() * 35000);
        return { t, type: 'em_change', chute_id: 'c', urgency: 0.5 + 2 * random(), manual: 0.5 + random() };
      });
      const trace = makeTrace({ records, duration: 36000 });
      const once = { act: ({ now }: Snapshot) => (now === 0 ? [deploy('c', 's')] : []) };
      const { score } = replay(trace, once);
      const factors = { base: 1, private: 1, tee: 1, urgency: 1, manual: 1 };
      let cm0 = 0;
      let sum = 0;
      let next = 0;
      for (let t = 0; t < 36000; t++) {
        for (
          let record = trace.records[next];
          record?.type === 'em_change' && record.t <= t;
          record = trace.records[next]
        ) {
          Object.assign(factors, { urgency: record.urgency, manual: record.manual });
          next++;
        }
        if (t === 115) {
          cm0 = runMultiplier(factors);
          sum += 0.3 * 100 * cm0;
        }
        const weight = easing(t + 0.5 - 115);
        if (t >= 115) sum += cm0 * (1 - weight) + runMultiplier(factors) * weight;
      }
      assert.ok(Math.abs(score * 3600 - sum) < 1e-6 * sum);
    }),
    { numRuns: 20 },
  );
});

test('a strategy that does nothing earns nothing and pays for the fleet', () => {
  const result = replay(makeTrace({ duration: 3600 }), { act: () => [] });
  assert.equal([result.score, result.cost_usd, result.busy_cost_usd, result.rule_violations], [0, 8, 0, 0]);
});

test.run();
