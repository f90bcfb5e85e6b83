// The market of the demo: room for single-GPU chutes at the start, then bounties for cold chutes, one rolling update of something the
// miner runs, and scale-downs. Deterministic given generator, clock and what the miner does.

import type { Clock } from '@miner/controller/domain/clock.ts';
import type { Random } from '@miner/controller/domain/random.ts';
import { needsLaunchToken } from '@miner/controller/domain/version.ts';
import type { SimulatedValidator } from './validator.ts';
import type { ChuteView } from './views.ts';

const minuteMs = 60_000;
const stepMs = 15_000;
const mostPerChute = 3;
/** Then another miner takes it. */
const bountyPatienceSeconds = 600;

export interface ScenarioOptions {
  clock: Clock;
  random: Random;
  signal: AbortSignal;
  /** Short refs of the GPU models of the fleet; repeats do not matter. */
  fleetModels: readonly string[];
  /** Instances wanted from the start, one GPU each. Default 14; keep it below the fleet's GPUs. */
  demand?: number;
  /** Instances wanted at most, bounties included. Default: demand + 4. */
  peak?: number;
}

/** Chutes that run on one GPU of this fleet, those that fit most of its models first. */
function fitting(validator: SimulatedValidator, models: ReadonlySet<string>): ChuteView[] {
  const fits = (chute: ChuteView) => chute.supportedGpus.filter((ref) => models.has(ref)).length;
  return validator
    .chutes()
    .filter((chute) => chute.gpuCount === 1 && chute.isPublic && !chute.jobOnly && !chute.disabled)
    .filter((chute) => needsLaunchToken(chute) && fits(chute) > 0)
    .sort((a, b) => fits(b) - fits(a) || b.offer - a.offer || a.chuteId.localeCompare(b.chuteId));
}

function pick<T>(random: Random, items: readonly T[]): T | undefined {
  return items[Math.floor(random() * items.length)];
}

/** Minutes at which things happen, drawn once. */
function timetable(random: Random) {
  return { bounty: 2 + Math.floor(random() * 2), update: 15 + Math.floor(random() * 5), scaleDown: 9 };
}

/** Run until the signal aborts. On a market where a fleet is at work already, the opening is left out. */
export async function runScenario(validator: SimulatedValidator, options: ScenarioOptions): Promise<void> {
  const { clock, random, signal, demand = 14, peak = demand + 4 } = options;
  const models = new Set(options.fleetModels);
  const start = clock.now();
  const next = timetable(random);
  let updated = false;

  const view = () => fitting(validator, models);
  /** Instances this fleet runs or could still start. */
  const wanted = (chutes: readonly ChuteView[]) =>
    chutes.reduce((sum, { own, targetCount, activeTotal }) => sum + own + Math.max(0, targetCount - activeTotal), 0);

  function open(): void {
    const chutes = view();
    let missing = demand - wanted(chutes);
    if (missing < demand) return;
    for (const chute of chutes) {
      if (missing <= 0) return;
      const room = Math.min(missing, 1 + Math.floor(random() * mostPerChute));
      validator.setTarget(chute.chuteId, chute.activeTotal + room);
      missing -= room;
    }
  }

  function offerBounty(): void {
    for (const { chuteId, own, bountyAge = 0 } of view()) {
      if (own === 0 && bountyAge > bountyPatienceSeconds) validator.closeBounty(chuteId);
    }
    if (wanted(view()) >= peak) scaleDown();
    const cold = pick(
      random,
      view().filter(({ own, bountyAge, isUpdating }) => own === 0 && bountyAge === undefined && !isUpdating),
    );
    if (!cold) return;
    validator.setOthers(cold.chuteId, 0);
    validator.setTarget(cold.chuteId, 1);
    validator.openBounty(cold.chuteId);
  }

  /** False while the miner runs nothing that could be updated. */
  function update(): boolean {
    const chute = pick(
      random,
      view().filter(({ ownActive }) => ownActive > 0),
    );
    if (chute) validator.updateChute(chute.chuteId);
    return chute !== undefined;
  }

  /** One instance fewer here, and the demand goes to another chute, so that the fleet keeps its work. */
  function scaleDown(): void {
    const chutes = view().filter(({ isUpdating, bountyAge }) => !isUpdating && bountyAge === undefined);
    const from = pick(
      random,
      chutes.filter((chute) => chute.ownActive > 0 && chute.targetCount === chute.activeTotal),
    );
    if (!from) return;
    validator.setOthers(from.chuteId, 0);
    validator.setTarget(from.chuteId, from.ownActive - 1);
    const to = pick(
      random,
      chutes.filter(({ chuteId, targetCount }) => chuteId !== from.chuteId && targetCount > 0),
    );
    if (to && wanted(view()) < demand) validator.setTarget(to.chuteId, to.activeTotal + 1);
  }

  open();
  while (!signal.aborted) {
    await clock.sleep(stepMs, signal);
    if (signal.aborted) return;
    const minute = (clock.now() - start) / minuteMs;
    if (minute >= next.bounty) {
      offerBounty();
      next.bounty = minute + 3 + random() * 2;
    }
    if (!updated && minute >= next.update) updated = update();
    if (minute >= next.scaleDown) {
      scaleDown();
      next.scaleDown = minute + 7 + random() * 3;
    }
  }
}
