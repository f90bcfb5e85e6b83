// What people allow Gepetto to do: section `policy` of miner.yaml, its defaults, and the contradictions within it. Every limit holds back
// what is new; none of them ends a deployment that runs. What it means for a plan is gepetto/policy.ts.

import { z } from 'zod';
import { isServerName, isUuid } from './ids.ts';
import { isTimeZone, minuteOf, scheduleWindow } from './schedule.ts';

const chuteId = z.string().refine(isUuid, 'must be a chute id (UUID)');
const serverName = z.string().refine(isServerName, 'must be the name of a server');
const gpuModel = z.string().regex(/^[a-z0-9_]+$/, 'must be a short ref such as h100_sxm');
const gpus = z.int().min(0).max(1_000_000);
const count = z.int().min(0).max(1_000_000);

const reserveMeaning = 'GPUs kept free. Those on servers that take nothing (locked, not healthy) do not count as free.';
const reserve = z.strictObject({
  total: gpus.default(0).describe('Over all models.'),
  models: z.record(gpuModel, gpus).default({}).describe("By model: the validator's short ref."),
});

const chutePolicy = z.strictObject({
  servers: z
    .array(serverName)
    .min(1)
    .nullable()
    .default(null)
    .describe('The servers it may be deployed on; null: all.'),
  minimum: count
    .default(0)
    .describe(
      'Own instances that are placed before everything else on free GPUs, and never swapped out. They displace only what pays less.',
    ),
  maximum: count
    .nullable()
    .default(null)
    .describe('Own instances at most, rentals and older versions included; null: as many as pay.'),
});

const serverPolicy = z.strictObject({
  allowChutes: z
    .array(chuteId)
    .nullable()
    .default(null)
    .describe('The only chutes that are deployed on it; null: all.'),
  denyChutes: z.array(chuteId).default([]).describe('Chutes that are never deployed on it.'),
  maximum: count.nullable().default(null).describe('Deployments on it at most; null: as many as fit.'),
});

/** What a schedule may change for some hours. */
const changeable = {
  mode: z
    .enum(['active', 'paused', 'dry-run'])
    .describe(
      'paused: nothing is deployed, removals go on. dry-run: nothing is done; what would be done is committed to branch proposed.',
    ),
  costCeiling: z
    .number()
    .min(0)
    .nullable()
    .describe("USD per hour of all GPUs that deployments hold, at the servers' hourlyCost; null: no ceiling."),
  allowChutes: z.array(chuteId).min(1).nullable().describe('The only chutes that are deployed; null: all.'),
  denyChutes: z.array(chuteId).describe('Chutes that are never deployed.'),
  reserve: reserve.describe(reserveMeaning),
};

const base = z.strictObject({
  mode: changeable.mode.default('active'),
  minimumHourlyCost: z
    .number()
    .positive()
    .default(0.01)
    .describe('USD per GPU-hour used for a server whose cost is 0, so that value stays finite.'),
  launchesPerPass: z.int().min(1).max(1000).default(64).describe('Launch tokens asked for per pass.'),
  stuckLaunchMinutes: z
    .number()
    .min(5)
    .max(180)
    .default(30)
    .describe('Minutes after which a launch without an instance is given up.'),
  removalShare: z
    .number()
    .gt(0)
    .max(1)
    .default(0.25)
    .describe(
      'At most this share of all deployments is removed in one pass without an explicit statement of the validator or a person.',
    ),
  costCeiling: changeable.costCeiling.default(null),
  allowChutes: changeable.allowChutes.default(null),
  denyChutes: changeable.denyChutes.default([]),
  reserve: reserve.prefault({}).describe(reserveMeaning),
  limits: z
    .strictObject({
      minutes: z.int().min(1).max(60).default(10).describe('Length of the window, minutes.'),
      launches: count.nullable().default(600).describe('Launch tokens taken within the window; null: no cap.'),
      removals: count
        .nullable()
        .default(200)
        .describe('Swaps and removals of what failed or looks lost within the window; null: no cap.'),
    })
    .prefault({})
    .describe('Caps over a sliding window; what the validator or a person says explicitly is never held back.'),
  chutes: z.record(chuteId, chutePolicy).default({}).describe('By chute id.'),
  servers: z.record(serverName, serverPolicy).default({}).describe('By name.'),
  timeZone: z
    .string()
    .refine(isTimeZone, 'must be a time zone such as Europe/Berlin')
    .default('UTC')
    .describe('Of the schedule: an IANA name.'),
  schedule: z
    .array(scheduleWindow.extend({ set: z.strictObject(changeable).partial().describe('What is different then.') }))
    .default([])
    .describe('Hours of the week with other rules; where windows overlap, the later one of the list wins.'),
});

export const policyConfig = base.superRefine((policy, context) => {
  for (const { path, message } of contradictions(policy))
    context.addIssue({ code: 'custom', path: [...path], message });
});

/** As written in miner.yaml, schedule and all. */
export type PolicyConfig = z.infer<typeof base>;
/** In force at one moment. */
export type Policy = Omit<PolicyConfig, 'schedule' | 'timeZone'>;

/** The policy at a moment (ms since the Unix epoch). */
export function policyAt({ schedule, timeZone, ...policy }: PolicyConfig, now: number): Policy {
  if (schedule.length === 0) return policy;
  const minute = minuteOf(now, timeZone);
  const changes = schedule.filter((window) => minute.isWithin(window)).map(({ set }) => set);
  return Object.assign({}, policy, ...changes);
}

interface Contradiction {
  path: readonly PropertyKey[];
  /** What would be allowed there. */
  message: string;
}

function contradictions({ schedule, ...policy }: PolicyConfig): Contradiction[] {
  const found = [...listContradictions(policy, []), ...chuteContradictions(policy), ...serverContradictions(policy)];
  for (const [i, { from, to, set }] of schedule.entries()) {
    const path = ['schedule', i];
    if (from === to) found.push({ path: [...path, 'to'], message: `another time than ${from}` });
    found.push(...listContradictions({ ...policy, ...set }, [...path, 'set'], set));
  }
  return found;
}

/** `named`: the part that is written at `path`; the rest of `policy` was looked at elsewhere. */
function listContradictions(
  { allowChutes, denyChutes, chutes }: Pick<Policy, 'allowChutes' | 'denyChutes' | 'chutes'>,
  path: readonly PropertyKey[],
  named: Partial<Pick<Policy, 'allowChutes' | 'denyChutes'>> = { allowChutes, denyChutes },
): Contradiction[] {
  const found: Contradiction[] = [];
  const allowed = allowChutes && new Set(allowChutes);
  const denied = new Set(denyChutes);
  for (const [i, id] of (named.allowChutes ?? []).entries()) {
    if (denied.has(id)) found.push({ path: [...path, 'allowChutes', i], message: 'a chute that is not in denyChutes' });
  }
  // A schedule may shut out for some hours what has a minimum otherwise.
  if (path.length > 0) return found;
  for (const [id, { minimum }] of Object.entries(chutes)) {
    if (minimum === 0) continue;
    const at = [...path, 'chutes', id, 'minimum'];
    if (denied.has(id)) found.push({ path: at, message: '0, because the chute is in denyChutes' });
    else if (allowed && !allowed.has(id))
      found.push({ path: at, message: '0, because the chute is not in allowChutes' });
  }
  return found;
}

function chuteContradictions({ chutes, servers }: Pick<Policy, 'chutes' | 'servers'>): Contradiction[] {
  const found: Contradiction[] = [];
  for (const [id, { minimum, maximum, servers: pinned }] of Object.entries(chutes)) {
    const path = ['chutes', id];
    if (maximum !== null && minimum > maximum) {
      found.push({ path: [...path, 'minimum'], message: `at most ${maximum}, its maximum` });
    }
    for (const [i, name] of (pinned ?? []).entries()) {
      const rules = servers[name];
      if (rules && !takes(rules, id)) {
        found.push({ path: [...path, 'servers', i], message: 'a server whose own rules take the chute' });
      }
    }
  }
  return found;
}

function takes({ allowChutes, denyChutes }: z.infer<typeof serverPolicy>, id: string): boolean {
  return (allowChutes === null || allowChutes.includes(id)) && !denyChutes.includes(id);
}

function serverContradictions({ servers }: Pick<Policy, 'servers'>): Contradiction[] {
  return Object.entries(servers).flatMap(([name, { allowChutes, denyChutes }]) => {
    const denied = new Set(denyChutes);
    return (allowChutes ?? []).flatMap((id, i) => {
      const path = ['servers', name, 'allowChutes', i];
      return denied.has(id) ? [{ path, message: 'a chute that is not in its denyChutes' }] : [];
    });
  });
}

/** Every place of the policy that names a server, for whoever knows which there are. */
export function serversNamed({ chutes, servers }: Pick<Policy, 'chutes' | 'servers'>) {
  const pins = Object.entries(chutes).flatMap(([id, { servers: pinned }]) =>
    (pinned ?? []).map((name, i) => ({ name, path: ['policy', 'chutes', id, 'servers', i] })),
  );
  return [...pins, ...Object.keys(servers).map((name) => ({ name, path: ['policy', 'servers', name] }))];
}
