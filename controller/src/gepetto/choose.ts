// The best place for one candidate: of all sites that suit, the one where it gains most after what it displaces. The order is total.

import { type OfferAdvice, weightOf } from '../domain/advice.ts';
import type { Chute } from '../domain/chute.ts';
import { type Candidate, keyOf } from './candidates.ts';
import { clearing } from './clearing.ts';
import type { FillContext, Option } from './decide.ts';
import { type Field, kindId, kindsOf, type Site } from './field.ts';
import { gainOf, type Terms, termsOf } from './gain.ts';
import { createLadders, type Ladder, type Ladders } from './ladder.ts';
import { isOfPlace, type Rule } from './policy.ts';
import { fastestStartup, type Startup, startupOf } from './startup.ts';
import { tuning } from './tuning.ts';
import { type ChuteMarket, type Memory, modelKey, type SiteFacts, type World } from './world.ts';

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

export interface Search {
  field: Field;
  ladders: Ladders;
  avoided: Avoided;
  context: FillContext;
  prospects: Map<string, Prospect>;
  /** By id of the kind, those that the field has. */
  prices: readonly (KindPrice | undefined)[];
}

/** Multiplier of one GPU: what it earns now, and what it would earn next. */
interface KindPrice {
  rate: number;
  floor: number;
  /** By number of GPUs. */
  ladders: (Ladder | undefined)[];
}

/** For one round: prices and what to avoid stay as they are meanwhile. */
export function searchOf(field: Field, context: FillContext): Search {
  const { byKind, rates, floors } = field;
  const prices: KindPrice[] = [];
  for (const kind of byKind.keys())
    prices[kindId(kind)] = { rate: rates.get(kind) ?? 0, floor: floors.get(kind) ?? 0, ladders: [] };
  return { field, ladders: createLadders(field), avoided: avoidedNow(context), context, prospects: new Map(), prices };
}

/** What holds for a candidate during a round. */
interface Prospect {
  terms: Terms;
  badServers: ReadonlySet<string> | undefined;
  told: OfferAdvice | undefined;
  kinds: KindProspect[];
}

interface KindProspect {
  model: string;
  ladder: Ladder;
  /** Multiplier that a GPU earns there now, and that all GPUs of the candidate would earn elsewhere. */
  rate: number;
  floor: number;
  fastest: Startup;
  /** Where nothing is known of the server; worked out when first asked for. */
  assumed: Startup | undefined;
}

function prospectOf(candidate: Candidate, search: Search): Prospect {
  const { ladders, avoided, context, prospects } = search;
  const key = keyOf(candidate);
  const known = prospects.get(key);
  if (known) return known;
  const { chute, gpuCount } = candidate;
  const market = context.world.market?.get(chute.chuteId);
  const told = context.advice?.offers.get(key);
  const kinds: KindProspect[] = [];
  for (const { kind, id, model, failureKey } of kindsOf(chute)) {
    const price = search.prices[id];
    if (!price || told?.closed.has(model)) continue;
    if (avoided.keys.size > 0 && avoided.keys.has(failureKey)) continue;
    const ladder = price.ladders[gpuCount] ?? ladders.of(kind, gpuCount);
    price.ladders[gpuCount] = ladder;
    kinds.push({
      model,
      ladder,
      rate: price.rate,
      floor: price.floor * gpuCount,
      fastest: fastestStartup(chute, market, model),
      assumed: undefined,
    });
  }
  const prospect = {
    terms: termsOf(chute, context),
    badServers: avoided.pairs.get(chute.chuteId),
    told,
    kinds,
  };
  prospects.set(key, prospect);
  return prospect;
}

const remembered = new WeakMap<SiteFacts, Map<string, { startup: Startup; version: string }>>();

/** Facts of a server change as a whole, so what follows from them is kept with them. */
function startupWith(facts: SiteFacts, chute: Chute, market: ChuteMarket | undefined, model: string): Startup {
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

function startupAt({ facts }: Site, chute: Chute, on: KindProspect, market: World['market']): Startup {
  if (facts) return startupWith(facts, chute, market?.get(chute.chuteId), on.model);
  on.assumed ??= startupOf(chute, market?.get(chute.chuteId), on.model, undefined);
  return on.assumed;
}

/** Undefined where nothing pays; a rule of the policy that stood against it is noted. */
export function bestOption(candidate: Candidate, search: Search): Option | undefined {
  const { field, avoided, context } = search;
  const { allowance } = context;
  const { chute, gpuCount, diskGb } = candidate;
  const closed = allowance.bars(candidate);
  if (closed) {
    allowance.note(closed, candidate);
    return undefined;
  }
  let barred: Rule | undefined;
  const { terms, badServers, told, kinds } = prospectOf(candidate, search);
  let best: Option | undefined;
  for (const on of kinds) {
    const { model, ladder, rate, floor, fastest } = on;
    const { plain, others } = ladder;
    const bound = gainOf(candidate, terms, fastest, 0, floor, context);
    const most = told && bound > 0 ? bound * (told.score.get(model) ?? 1) * told.bestPlace : bound;
    for (let hole = 0; hole <= plain.length; hole++) {
      const isPlain = hole < plain.length;
      for (const { site, loss: least } of (isPlain ? plain[hole] : others) ?? []) {
        if (best && most - least < best.net) break;
        if (told?.veto.has(site.room.server.name)) continue;
        if (least > 0 && !pays(most, least, gpuCount * rate)) break;
        const usable = isUsable(site, avoided, badServers);
        let standsForAll = false;
        if (least === 0) {
          const refused = allowance.refusal(candidate, site, nobody.victims);
          // The first of those that are alike stands for all.
          standsForAll =
            isPlain && !told?.place.size && usable && site.room.freeDiskGb >= diskGb && !isOfPlace(refused);
          if (refused) {
            barred = refused;
            if (standsForAll) break;
            continue;
          }
        }
        if (!usable) continue;
        const lacking = gpuCount - site.free.length;
        const found = lacking > 0 ? clearing(site, lacking, field, chute.chuteId) : nobody;
        if (!found) continue;
        const { victims, loss } = found;
        if (site.room.freeDiskGb + victims.reduce((sum, { spec }) => sum + spec.diskGb, 0) < diskGb) continue;
        const startup = startupAt(site, chute, on, context.world.market);
        const hoped = gainOf(candidate, terms, startup, victims.length > 0 ? drainHours : 0, floor, context);
        const odds = oddsOf(chute, site, context.memory) * weightOf(told, model, site.room.server.name);
        const gain = hoped > 0 ? hoped * odds : hoped;
        const broken = tuning.holeShare * rate * blockedHours(candidate) * brokenHoles(site.hole, gpuCount);
        const net = gain - loss - broken;
        const isOption =
          gain !== Number.NEGATIVE_INFINITY &&
          (victims.length === 0 || pays(gain - broken, loss, gpuCount * rate)) &&
          (!best || isBetter(net, site, best));
        if (isOption) {
          const against = victims.length > 0 ? allowance.refusal(candidate, site, victims) : undefined;
          if (against) barred = against;
          else best = { candidate, site, victims, gain, net, stamp: site.stamp };
        }
        if (standsForAll) break;
      }
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
function isBetter(net: number, x: Site, { net: bestNet, site: y }: Option): boolean {
  if (Math.abs(net - bestNet) > 1e-9) return net > bestNet;
  if (x.room.server.hourlyCost !== y.room.server.hourlyCost) return x.room.server.hourlyCost < y.room.server.hourlyCost;
  if (x.free.length !== y.free.length) return x.free.length < y.free.length;
  return x.room.server.name < y.room.server.name;
}
