import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Feeds } from '../domain/ports.ts';
import * as f from '../gepetto/fixtures.ts';
import { cooldownsOf, createFirstMultipliers, marketOf } from './market.ts';

const x = f.chute('x');
const hour = 60 * f.minute;

/** The feeds of a world with one chute, changed. */
function feedsOf(change: (feeds: Feeds) => Partial<Feeds> = () => ({}), chute = x) {
  const { feeds } = f.world({ chutes: [chute] });
  return new Map([...feeds].map(([validator, of]) => [validator, { ...of, ...change(of) }]));
}

function marketFor(chute: typeof x, change?: (feeds: Feeds) => Partial<Feeds>, now = f.now) {
  return marketOf(new Map([[chute.chuteId, chute]]), feedsOf(change, chute), now).get(chute.chuteId);
}

test('a bounty opened as long before the feed as its amount says, however old the feed is by now', () => {
  const offered = { ...x, bounty: 100 + 3 * 600 };
  const fetchedAt = f.now - 2 * f.minute;
  const found = marketFor(offered, ({ chutes }) => ({ chutes: { ...chutes, fetchedAt } }));
  assert.is(found?.bountyOpenedAt, fetchedAt - 600_000);
  assert.is(marketFor(x)?.bountyOpenedAt, undefined);
});

test('the multiplier without the bounty is told where the validator tells its factor, and estimated elsewhere', () => {
  const offered = { ...x, effectiveComputeMultiplier: 6, bounty: 100 };
  assert.is(marketFor({ ...offered, boosts: { bounty: 1.5, urgency: 2 } })?.runMultiplier, 4);
  assert.is(marketFor({ ...offered, boosts: { bounty: 1.5, urgency: 2 } })?.urgency, 2);
  assert.is(marketFor(offered)?.runMultiplier, undefined);
  assert.is(marketFor({ ...offered, bounty: 0 })?.runMultiplier, 6);
});

test('the active instances of a chute are the smaller of two fresh counts', () => {
  const counted = (n: number | undefined, listed: number, ageMs = 0) =>
    marketFor(x, () => ({
      utilization: {
        fetchedAt: f.now,
        items: new Map([[x.chuteId, f.utilization(x, { activeInstanceCount: n })]]),
      },
      globalInstances: {
        fetchedAt: f.now - ageMs,
        items: new Map(
          Array.from({ length: listed }, (_, i) => [
            String(i),
            { instanceId: String(i), chuteId: x.chuteId, computeMultiplier: 1 },
          ]),
        ),
      },
    }))?.activeTotal;
  assert.equal([counted(3, 2), counted(1, 2), counted(3, 0)], [2, 1, 0]);
  assert.equal([counted(undefined, 2), counted(3, 2, 6 * f.minute)], [undefined, undefined], 'nothing is told');
});

test('cool-downs of all validators are one list', () => {
  const cooldowns = { fetchedAt: f.now, items: new Map([[x.chuteId, f.now + hour]]) };
  assert.equal([...cooldownsOf(feedsOf(() => ({ cooldowns })))], [[x.chuteId, f.now + hour]]);
});

test('what an instance earned within two hours of its activation stays known, and nothing is taken from a later look', () => {
  const spec = f.spec(x, f.servers.B, 0);
  const row = f.row(spec, { instanceId: 'i', activatedAt: f.now - hour });
  const rows = new Map([[row.deploymentId, row]]);
  const seen = (multiplier: number, at: number, active = true) =>
    feedsOf(() => ({
      instances: {
        fetchedAt: at,
        items: new Map([
          [
            'i',
            {
              instanceId: 'i',
              chuteId: x.chuteId,
              version: 'v1',
              configId: undefined,
              active,
              verifiedAt: undefined,
              activatedAt: undefined,
              computeMultiplier: multiplier,
            },
          ],
        ]),
      },
    }));
  const young = createFirstMultipliers();
  assert.equal([...young(rows, seen(9, f.now, false))], [], 'not active yet');
  assert.equal([...young(rows, seen(3, f.now))], [[spec.deploymentId, 3]]);
  assert.equal([...young(rows, seen(1, f.now + 5 * hour))], [[spec.deploymentId, 3]]);
  assert.equal([...young(new Map(), seen(1, f.now))], []);
  assert.equal([...createFirstMultipliers()(rows, seen(1, f.now + hour))], [], 'two hours old when first seen');
});

test.run();
