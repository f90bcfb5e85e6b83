// Fill the fleet, best first: every candidate with the site where it gains most after what it displaces, until nothing more pays. The order
// is total, so the same input gives the same plan.

import { weightOf } from '../domain/advice.ts';
import type { Chute } from '../domain/chute.ts';
import { type Candidate, keyOf } from './candidates.ts';
import { byValue, decide, type FillContext, type Option, type Placement } from './decide.ts';
import { clearing, type Field, kindsOf, lastStays, reprice, type Site } from './field.ts';
import { floorsOf } from './floor.ts';
import { gainOf, termsOf } from './gain.ts';
import { createHeap } from './heap.ts';
import { createLadders, type Ladders } from './ladder.ts';
import { isOfPlace, type Rule } from './policy.ts';
import { fastestStartup, type Startup, startupOf } from './startup.ts';
import { tuning } from './tuning.ts';
import { type ChuteMarket, type Memory, modelKey, type SiteFacts } from './world.ts';

/** Far more than it takes: each round places something. */
const mostRounds = 100;
/** What victims hold is free after they drained. */
const drainHours = 60 / 3600;

/** Avoided for now, from the failures remembered. */
interface Avoided {
  /** `chute:version@model`, and servers by name. */
  keys: ReadonlySet<string>;
  /** Servers by chute id. */
  pairs: ReadonlyMap<string, ReadonlySet<string>>;
}

function avoidedNow({ memory, now }: FillContext): Avoided {
  const keys = new Set<string>();
  const pairs = new Map<string, Set<string>>();
  for (const [key, { until }] of memory.failures) {
    if (until <= now) continue;
    keys.add(key);
    const at = key.indexOf('@');
    if (at < 0) continue;
    const chuteId = key.slice(0, at);
    const servers = pairs.get(chuteId) ?? new Set();
    servers.add(key.slice(at + 1));
    pairs.set(chuteId, servers);
  }
  return { keys, pairs };
}

interface Search {
  field: Field;
  ladders: Ladders;
  avoided: Avoided;
  context: FillContext;
  startups: Map<string, Startup>;
}

const remembered = new WeakMap<SiteFacts, Map<string, { startup: Startup; version: string }>>();

/** Facts of a server change as a whole, so what follows from them is kept with them. */
function startupAt(chute: Chute, market: ChuteMarket | undefined, site: Site, search: Search): Startup {
  const { facts, model } = site;
  if (facts) {
    let byChute = remembered.get(facts);
    if (!byChute) {
      byChute = new Map();
      remembered.set(facts, byChute);
    }
    const known = byChute.get(chute.chuteId);
    if (known && known.version === chute.version) return known.startup;
    const startup = startupOf(chute, market, model, facts);
    byChute.set(chute.chuteId, { startup, version: chute.version });
    return startup;
  }
  const key = `${chute.chuteId} ${model}`;
  let known = search.startups.get(key);
  if (!known) {
    known = startupOf(chute, market, model, undefined);
    search.startups.set(key, known);
  }
  return known;
}

function bestOption(candidate: Candidate, search: Search): Option | undefined {
  const { field, ladders, avoided, context } = search;
  const { allowance } = context;
  const { chute, gpuCount, diskGb } = candidate;
  const closed = allowance.bars(candidate);
  if (closed) {
    allowance.note(closed, candidate);
    return undefined;
  }
  let barred: Rule | undefined;
  const terms = termsOf(chute, context);
  const market = context.world.market?.get(chute.chuteId);
  const badServers = avoided.pairs.get(chute.chuteId);
  const told = context.advice?.offers.get(keyOf(candidate));
  let best: Option | undefined;
  for (const { kind, model } of kindsOf(chute)) {
    if (!field.byKind.has(kind)) continue;
    if (avoided.keys.size > 0 && avoided.keys.has(modelKey(chute, model))) continue;
    const rungs = ladders.of(kind, gpuCount);
    if (rungs.length === 0) continue;
    const rate = field.rates.get(kind) ?? 0;
    const floor = (field.floors.get(kind) ?? 0) * gpuCount;
    if (told?.closed.has(model)) continue;
    const fastest = gainOf(candidate, terms, fastestStartup(chute, market, model), 0, floor, context);
    const most = told && fastest > 0 ? fastest * (told.score.get(model) ?? 1) * told.bestPlace : fastest;
    // Sites without facts that have the same room are alike: the first of them, in the ladder's order, stands for all.
    let alike = 0;
    for (const { site, loss: least } of rungs) {
      if (best && most - least < best.net) break;
      if (told?.veto.has(site.room.server.name)) continue;
      if (least === 0) {
        const left = site.hole - gpuCount;
        const bit = site.facts || told?.place.size || left >= 31 ? 0 : 1 << left;
        if ((alike & bit) !== 0) continue;
        const refused = allowance.refusal(candidate, site, nobody.victims);
        if (site.room.freeDiskGb >= diskGb && isUsable(site, avoided, badServers) && !isOfPlace(refused)) alike |= bit;
        if (refused) {
          barred = refused;
          continue;
        }
      }
      if (least > 0 && !pays(most, least, gpuCount * rate)) break;
      if (!isUsable(site, avoided, badServers)) continue;
      const lacking = gpuCount - site.free.length;
      const found = lacking > 0 ? clearing(site, lacking, field, chute.chuteId) : nobody;
      if (!found) continue;
      const { victims, loss } = found;
      if (site.room.freeDiskGb + victims.reduce((sum, { spec }) => sum + spec.diskGb, 0) < diskGb) continue;
      const startup = startupAt(chute, market, site, search);
      const hoped = gainOf(candidate, terms, startup, victims.length > 0 ? drainHours : 0, floor, context);
      const odds = oddsOf(chute, site, context.memory) * weightOf(told, model, site.room.server.name);
      const gain = hoped > 0 ? hoped * odds : hoped;
      const broken = tuning.holeShare * rate * blockedHours(candidate) * brokenHoles(site.hole, gpuCount);
      if (gain === Number.NEGATIVE_INFINITY) continue;
      if (victims.length > 0 && !pays(gain - broken, loss, gpuCount * rate)) continue;
      const option: Option = { candidate, site, victims, gain, net: gain - loss - broken, stamp: site.stamp };
      if (best && !isBetter(option, best)) continue;
      const against = victims.length > 0 ? allowance.refusal(candidate, site, victims) : undefined;
      if (against) barred = against;
      else best = option;
    }
  }
  if (!best && barred) allowance.note(barred, candidate);
  return best;
}

/** Each failure since the last success halves, thirds, … what a launch there is worth. */
function oddsOf(chute: Chute, { room, model }: Site, { failures }: Memory): number {
  if (failures.size === 0) return 1;
  const onModel = failures.get(modelKey(chute, model))?.failures ?? 0;
  const onServer = failures.get(room.server.name)?.failures ?? 0;
  return 1 / (1 + Math.max(onModel, onServer));
}

const holeSizes = [8, 4, 2];

/** GPUs in large holes that a deployment of `gpus` would break up. */
function brokenHoles(hole: number, gpus: number): number {
  let broken = 0;
  for (const size of holeSizes) {
    if (size > gpus) broken += size * (Math.floor(hole / size) - Math.floor((hole - gpus) / size));
  }
  return broken;
}

/** Hours for which a deployment cannot be removed for something better. */
function blockedHours({ chute, job }: Candidate): number {
  if (job) return tuning.jobHours;
  return chute.preemptible ? 1 : tuning.horizonHours;
}

function isUsable({ facts, room }: Site, { keys }: Avoided, badServers: ReadonlySet<string> | undefined): boolean {
  // Whatever starts now on a server that leaves is less than an hour old when it goes, and earns nothing.
  if (facts?.leavingAt !== undefined) return false;
  if (keys.size > 0 && (keys.has(room.server.name) || badServers?.has(room.server.name))) return false;
  return true;
}

const nobody = { victims: [], loss: 0 } as const;

function pays(gain: number, loss: number, rate: number): boolean {
  return gain >= loss * (1 + tuning.marginShare) + tuning.margin * rate;
}

/** More net pay, then cheaper, then the tighter fit, then the name. */
function isBetter(a: Option, b: Option): boolean {
  if (Math.abs(a.net - b.net) > 1e-9) return a.net > b.net;
  const x = a.site;
  const y = b.site;
  if (x.room.server.hourlyCost !== y.room.server.hourlyCost) return x.room.server.hourlyCost < y.room.server.hourlyCost;
  if (x.free.length !== y.free.length) return x.free.length < y.free.length;
  return x.room.server.name < y.room.server.name;
}

/**
 * Place until no candidate pays or the launch budget is used up. Takes what it places out of the field. What is placed changes the price of
 * the rest, so it goes on until nothing changes: planning again right after finds nothing to do.
 */
export function fill(candidates: readonly Candidate[], field: Field, context: FillContext): Placement[] {
  const placements: Placement[] = [];
  let waiting = candidates;
  for (let round = 0; round < mostRounds; round++) {
    const before = placements.length;
    waiting = fillOnce(waiting, field, context, placements);
    if (placements.length === before || waiting.length === 0) break;
    reprice(field, floorsOf(waiting, context.world, context.advice));
  }
  return placements;
}

/** One round; returns the candidates that still have room. */
function fillOnce(
  candidates: readonly Candidate[],
  field: Field,
  context: FillContext,
  placements: Placement[],
): Candidate[] {
  const left = new Map(candidates.map((candidate) => [keyOf(candidate), candidate]));
  const search: Search = {
    field,
    ladders: createLadders(field),
    avoided: avoidedNow(context),
    context,
    startups: new Map(),
  };
  const options = createHeap(byValue);
  function offer(candidate: Candidate): void {
    const option = bestOption(candidate, search);
    if (option) options.push(option);
  }
  for (const candidate of candidates) offer(candidate);
  while (placements.length < context.policy.launchesPerPass) {
    const option = options.pop();
    if (!option) break;
    const { candidate, site } = option;
    // Earlier placements may have used up what this option counted on.
    const { allowance } = context;
    const stale = option.stamp !== site.stamp || !lastStays(option.victims, field);
    if (stale || allowance.refusal(candidate, site, option.victims)) {
      offer(candidate);
      continue;
    }
    const made = decide(option, options, context);
    if (!made) continue;
    placements.push(made);
    allowance.take(made.decision.spec, made.victims);
    settle(option, made, search);
    const key = keyOf(candidate);
    const room = candidate.room - 1;
    const next = { ...candidate, room, replicas: candidate.replicas + 1, bountyFree: false };
    if (room > 0) left.set(key, next);
    else left.delete(key);
    if (room > 0) offer(next);
  }
  return placements.length < context.policy.launchesPerPass ? [...left.values()] : [];
}

function settle({ site, victims }: Option, { decision }: Placement, { field, ladders }: Search): void {
  site.tenants = site.tenants.filter((tenant) => !victims.includes(tenant));
  for (const { spec } of victims) field.spare.set(spec.chuteId, (field.spare.get(spec.chuteId) ?? 0) - 1);
  const { spec } = decision;
  site.tenants.push({
    spec,
    gpus: spec.gpuIds.length,
    worth: Number.POSITIVE_INFINITY,
    rate: undefined,
    removable: false,
  });
  site.clearings = [];
  site.hole -= spec.gpuIds.length;
  site.stamp++;
  ladders.touch(site);
}
