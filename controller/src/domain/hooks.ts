// What a strategy of your own may say: the types of the hooks in strategy/strategy.ts on branch `main`. Types only, nothing to import
// when it runs. `strategy/hooks.ts` of a cluster repository is a copy of this file, so that an editor and `tsc` know it too.

/** An app as the validator offers it now. Multipliers are compute multipliers of one instance, all its GPUs together. */
export interface ChuteView {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  /** GPUs of one instance, 1 to 8. */
  readonly gpuCount: number;
  /** GPU models it may run on, by short ref such as `h100_sxm`. */
  readonly supportedGpus: readonly string[];
  readonly tee: boolean;
  /** False: its instances are never removed for something better. */
  readonly preemptible: boolean;
  /** What a new instance would earn now, bounty and boosts included. */
  readonly multiplier: number;
  /** The same without the bounty, which is what an instance earns in the long run. */
  readonly runMultiplier: number;
  /** Amount of the open bounty; 0 for none. */
  readonly bounty: number;
  /** Instances that the validator wants, and that are active, of all miners; null when it does not say. */
  readonly wanted: number | null;
  readonly active: number | null;
  /** Own deployments of it, those that start included. */
  readonly own: number;
}

/** A rental: one run of a chute for a while, offered to the first that takes it. */
export interface JobView {
  readonly id: string;
  readonly gpuCount: number;
  readonly multiplier: number;
  /** GB of scratch disk. */
  readonly diskGb: number;
}

/** All servers with one GPU model that may run the chute at hand. */
export interface KindView {
  /** Short ref, such as `h100_sxm`. */
  readonly gpu: string;
  readonly servers: number;
  readonly gpus: number;
  readonly freeGpus: number;
  /** USD per GPU and hour: the lowest among them. */
  readonly hourlyCost: number;
}

export interface ServerView {
  readonly name: string;
  /** Short ref, such as `h100_sxm`. */
  readonly gpu: string;
  readonly gpus: number;
  readonly freeGpus: number;
  /** USD per GPU and hour. */
  readonly hourlyCost: number;
  readonly tee: boolean;
  /** When it leaves the fleet, ms since the Unix epoch; null when nothing is known of that. */
  readonly leavingAt: number | null;
}

export interface DeploymentView {
  readonly id: string;
  readonly version: string;
  readonly gpus: number;
  /** Hours since it became active. */
  readonly age: number;
  /** What it earns now. */
  readonly multiplier: number;
}

export interface ScoreInput {
  /** ms since the Unix epoch. There is no other clock. */
  readonly now: number;
  readonly chute: ChuteView;
  /** Null unless it is about a rental of the chute. */
  readonly job: JobView | null;
  readonly kind: KindView;
}

export interface PlaceInput {
  readonly now: number;
  readonly chute: ChuteView;
  readonly job: JobView | null;
  readonly server: ServerView;
}

export interface VictimsInput {
  readonly now: number;
  readonly chute: ChuteView;
  readonly deployment: DeploymentView;
  readonly server: ServerView;
}

/**
 * How much better or worse a chute is on a GPU model than the planner thinks: a factor on the pay that it expects, 0 to 1000. It also
 * weighs what a running deployment of the chute is still worth, so that nothing is swapped back and forth. 1, or nothing, changes
 * nothing. With 0 it is the last choice; to rule it out, use `veto`.
 */
export type Score = (input: ScoreInput) => number | undefined;

/** The same for one server: which of those that suit is to be preferred. The factor comes on top of that of `score`. */
export type Place = (input: PlaceInput) => number | undefined;

/** True: the chute is never started on this server. What runs there already stays. */
export type Veto = (input: PlaceInput) => boolean | undefined;

/**
 * Asked for each active deployment that the planner might remove for something better: a factor on what it is still worth, 0 to 1000,
 * in place of those of `score` and `place`; or `keep`: not for anything. The rules of the network hold whatever a hook says: nobody is
 * removed within the first hour, nor the last instance of a chute, nor a private chute, nor a rental.
 */
export type Victims = (input: VictimsInput) => number | 'keep' | undefined;

/** What strategy.ts may export; all of it may be left out. Hooks answer at once (no promise) and remember nothing between two calls. */
export interface Hooks {
  score?: Score;
  place?: Place;
  veto?: Veto;
  victims?: Victims;
}
