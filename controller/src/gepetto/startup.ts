// How long a launch takes on a server, from sizes and speeds where they are known, else from plain estimates (gepetto.md 4.7: this time
// is paid at 0.3 at most, and not at all before the instance exists).

import type { Chute } from '../domain/chute.ts';
import { gpuTable } from '../domain/gputable.ts';
import type { ChuteMarket, SiteFacts } from './world.ts';

export interface Startup {
  /** Hours until the instance exists, which nobody pays. */
  untilInstance: number;
  /** Hours from the instance to activation. */
  loading: number;
  /** Image or model has to be fetched. */
  cold: boolean;
}

const secondsPerHour = 3600;
const megabitsPerGb = 8000;
/** Schedule, create the pod, start the container. */
const bootSeconds = 5;
/** An image that is on the server still has to be looked at. */
const presentImageSeconds = 2;
/** Models come over a slower way than images: more parties, more files. */
const modelSpeedShare = 0.8;
const teeProofSeconds = 30;

/** Used for what nobody told: a middling chute on a middling server. */
const assumed = {
  netMbps: 2000,
  diskReadGbps: 1.5,
  imageGb: 10,
  modelGbPerGpu: 40,
  warmupSeconds: 60,
  proofSeconds: 75,
};

const proofSeconds = new Map(gpuTable.map(({ ref, graval }) => [ref, graval.estimateSeconds]));

export function startupOf(
  chute: Chute,
  market: ChuteMarket | undefined,
  model: string,
  site: SiteFacts | undefined,
): Startup {
  const net = site?.netMbps ?? assumed.netMbps;
  const imageGb = market?.imageGb ?? assumed.imageGb;
  const modelGb = market?.modelGb ?? assumed.modelGbPerGpu * chute.gpuCount;
  const hasImage = site?.images?.has(chute.image) ?? false;
  const hasModel = market?.modelKey !== undefined && (site?.models?.has(market.modelKey) ?? false);
  const pull = hasImage ? presentImageSeconds : (imageGb * megabitsPerGb) / net;
  const download = hasModel ? 0 : (modelGb * megabitsPerGb) / (modelSpeedShare * net);
  const load = modelGb / (site?.diskReadGbps ?? assumed.diskReadGbps);
  const warmup = market?.warmupMs === undefined ? assumed.warmupSeconds : market.warmupMs / 1000;
  const proof = chute.tee ? teeProofSeconds : (proofSeconds.get(model) ?? assumed.proofSeconds);
  return {
    untilInstance: (bootSeconds + pull) / secondsPerHour,
    loading: (download + load + warmup + proof) / secondsPerHour,
    cold: !hasImage || !hasModel,
  };
}

/** A bound: everything on the server, and a disk that never makes anybody wait. */
export function fastestStartup(chute: Chute, market: ChuteMarket | undefined, model: string): Startup {
  const warmup = market?.warmupMs === undefined ? assumed.warmupSeconds : market.warmupMs / 1000;
  const proof = chute.tee ? teeProofSeconds : (proofSeconds.get(model) ?? assumed.proofSeconds);
  return {
    untilInstance: (bootSeconds + presentImageSeconds) / secondsPerHour,
    loading: (warmup + proof) / secondsPerHour,
    cold: false,
  };
}
