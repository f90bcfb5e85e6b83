import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { TraceRecord } from './format.ts';
import { createStrategy } from './gepetto.ts';
import { createReplay, replay } from './replay.ts';
import { chute, makeTrace, server } from './testing.ts';
import { createStrategy as upstream } from './upstream.ts';

const tight = server('s', { gpu_count: 1 });

test('free GPUs are filled at the first tick, the best chute first', () => {
  const trace = makeTrace({
    servers: [server('s')],
    chutes: [chute('poor'), chute('rich', { em: { base: 2 }, state: { target_count: 3 } })],
    duration: 3600,
  });
  const run = createReplay(trace);
  const first = run.next();
  if (!first) throw new Error('the trace is over');
  const actions = createStrategy(1).act(first);
  const chutes = actions.map((action) => (action.type === 'deploy' ? action.chute_id : action.type));
  assert.equal(chutes, ['rich', 'rich', 'rich', 'poor', 'poor', 'poor', 'poor', 'poor']);
});

test('a poor instance goes for a rich one once it is paid, and no rule is broken', () => {
  const records: TraceRecord[] = [{ t: 600, type: 'utilization', chute_id: 'rich', target_count: 1, scalable: true }];
  const trace = makeTrace({
    servers: [tight],
    chutes: [
      chute('poor', { state: { others_active: 3 } }),
      chute('rich', { em: { base: 5 }, state: { target_count: 0 } }),
    ],
    records,
    duration: 4 * 3600,
  });
  const result = replay(trace, createStrategy(1));
  assert.equal([result.preemptions, result.rule_violations], [1, 0]);
  assert.ok(result.score > replay(trace, upstream(1)).score - 1);
});

test('a pair that keeps failing is not tried every time there is room', () => {
  const records: TraceRecord[] = [{ t: 0, type: 'fault', scope: { chute_id: 'bad' }, until: 86_400, fail_after_s: 60 }];
  const trace = makeTrace({
    servers: [tight],
    chutes: [chute('bad', { em: { base: 5 } }), chute('good')],
    records,
    duration: 6 * 3600,
  });
  const result = replay(trace, createStrategy(1));
  assert.ok(result.wasted_launches < 15, `${result.wasted_launches} launches`);
  assert.ok(result.score > 3);
});

test('the same seed gives the same result', () => {
  const trace = makeTrace({ servers: [server('s'), server('t')], chutes: [chute('a'), chute('b')], duration: 7200 });
  assert.equal(replay(trace, createStrategy(3)), replay(trace, createStrategy(3)));
});

test.run();
