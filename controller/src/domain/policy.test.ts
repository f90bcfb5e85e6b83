import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { policyAt, policyConfig } from './policy.ts';

const x = '1b2c3d4e-0000-4000-8000-000000000001';
const y = '1b2c3d4e-0000-4000-8000-000000000002';

/** Mode by time of a policy that is paused within the one window. */
function modeAt(window: object, iso: string, timeZone = 'UTC'): string {
  const policy = policyConfig.parse({ timeZone, schedule: [{ ...window, set: { mode: 'paused' } }] });
  return policyAt(policy, Date.parse(iso)).mode;
}

test('a window holds from its first minute to the one before its last, on its days, in its time zone', () => {
  const night = { from: '22:00', to: '06:00' };
  const weekdays = { ...night, days: ['fri'] };
  // 2026-01-02 is a Friday; Berlin is an hour ahead in winter and two in summer.
  const cases: [string, object, string, string, string?][] = [
    ['a minute early', { from: '09:00', to: '17:00' }, '2026-01-02T08:59:59Z', 'active'],
    ['the first minute', { from: '09:00', to: '17:00' }, '2026-01-02T09:00:00Z', 'paused'],
    ['the last minute', { from: '09:00', to: '17:00' }, '2026-01-02T16:59:59Z', 'paused'],
    ['over', { from: '09:00', to: '17:00' }, '2026-01-02T17:00:00Z', 'active'],
    ['until midnight', { from: '09:00', to: '24:00' }, '2026-01-02T23:59:59Z', 'paused'],
    ['past midnight, evening', weekdays, '2026-01-02T22:00:00Z', 'paused'],
    ['past midnight, the morning after belongs to the day before', weekdays, '2026-01-03T05:59:00Z', 'paused'],
    ['past midnight, the morning of the day itself does not', weekdays, '2026-01-02T05:00:00Z', 'active'],
    ['from Sunday into Monday', { ...night, days: ['sun'] }, '2026-01-05T01:00:00Z', 'paused'],
    ['another day', { ...night, days: ['mon'] }, '2026-01-02T23:00:00Z', 'active'],
    ['winter in Berlin', night, '2026-01-02T21:00:00Z', 'paused', 'Europe/Berlin'],
    ['summer in Berlin, an hour earlier', night, '2026-07-03T20:00:00Z', 'paused', 'Europe/Berlin'],
    ['the same hour in winter', night, '2026-01-02T20:00:00Z', 'active', 'Europe/Berlin'],
  ];
  for (const [name, window, at, mode, zone] of cases) assert.is(modeAt(window, at, zone), mode, name);
});

test('where windows overlap the later one of the list wins, field by field, and what none names stays', () => {
  const all = { from: '00:00', to: '24:00' };
  const policy = policyConfig.parse({
    launchesPerPass: 7,
    costCeiling: 100,
    schedule: [
      { ...all, set: { mode: 'paused', costCeiling: 5 } },
      { ...all, set: { costCeiling: null } },
    ],
  });
  const { mode, costCeiling, launchesPerPass } = policyAt(policy, 0);
  assert.equal([mode, costCeiling, launchesPerPass], ['paused', null, 7]);
});

test('without a schedule the policy is the same at all times, and has none any more', () => {
  const at = policyAt(policyConfig.parse({}), 0);
  assert.not('schedule' in at);
  assert.equal([at.mode, at.costCeiling, at.denyChutes], ['active', null, []]);
});

test('a policy that contradicts itself names the field and what would do', () => {
  const window = { from: '22:00', to: '06:00', set: { mode: 'paused' } };
  const cases: [object, string, string][] = [
    [{ chutes: { [x]: { minimum: 3, maximum: 2 } } }, `chutes.${x}.minimum`, 'at most 2, its maximum'],
    [
      { denyChutes: [x], chutes: { [x]: { minimum: 1 } } },
      `chutes.${x}.minimum`,
      '0, because the chute is in denyChutes',
    ],
    [
      { allowChutes: [y], chutes: { [x]: { minimum: 1 } } },
      `chutes.${x}.minimum`,
      '0, because the chute is not in allowChutes',
    ],
    [{ allowChutes: [y, x], denyChutes: [x] }, 'allowChutes.1', 'a chute that is not in denyChutes'],
    [
      { chutes: { [x]: { servers: ['a', 'b'] } }, servers: { b: { denyChutes: [x] } } },
      `chutes.${x}.servers.1`,
      'a server whose own rules take the chute',
    ],
    [
      { chutes: { [x]: { servers: ['a'] } }, servers: { a: { allowChutes: [y] } } },
      `chutes.${x}.servers.0`,
      'a server whose own rules take the chute',
    ],
    [
      { servers: { a: { allowChutes: [x], denyChutes: [x] } } },
      'servers.a.allowChutes.0',
      'a chute that is not in its denyChutes',
    ],
    [{ schedule: [{ ...window, to: '22:00' }] }, 'schedule.0.to', 'another time than 22:00'],
    [
      { denyChutes: [x], schedule: [{ ...window, set: { allowChutes: [x] } }] },
      'schedule.0.set.allowChutes.0',
      'a chute that is not in denyChutes',
    ],
  ];
  for (const [policy, path, message] of cases) {
    const issues = policyConfig.safeParse(policy).error?.issues ?? [];
    assert.equal(
      issues.map((issue) => [issue.path.join('.'), issue.message]),
      [[path, message]],
    );
  }
});

test('for some hours a chute may be shut out that has a minimum otherwise', () => {
  const schedule = [{ from: '22:00', to: '06:00', set: { denyChutes: [x] } }];
  assert.ok(policyConfig.safeParse({ chutes: { [x]: { minimum: 1 } }, schedule }).success);
});

test.run();
