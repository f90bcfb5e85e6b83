// What every part of the simulated validator works on: its state and the ways out of it. Nothing here decides.

import type { Clock } from '@miner/controller/domain/clock.ts';
import type { EventReason } from '@miner/controller/domain/event.ts';
import type { Random } from '@miner/controller/domain/random.ts';
import type { Catalogue } from '../catalogue.ts';
import type { ProofSizes } from '../refc1.ts';
import type { SimulatedHotkey } from '../sr25519.ts';
import type { ValidatorState } from './records.ts';

/** `v25`: validator of October 2025; `v26` adds feeds and routes (protocol.md, version tags). */
export type Generation = 'v25' | 'v26';

export interface GravalOptions {
  sizes: ProofSizes;
  /** Info challenges before the proof. */
  infoRounds: number;
  /** Refuse proofs outside the time window of the GPU model; off where the machine under the simulation is too slow for it. */
  timing: boolean;
}

export interface World {
  readonly state: ValidatorState;
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly random: Random;
  readonly hotkey: SimulatedHotkey;
  readonly registered: ReadonlySet<string>;
  readonly generation: Generation;
  readonly allowPrivateHosts: boolean;
  /** Miners announce instances of libraries before 0.3.0 themselves. */
  readonly announcements: boolean;
  readonly graval: GravalOptions;
  /** Base URL without a slash at the end. */
  url(): string;
  /** Send a `miner_broadcast`, to the listed hotkeys only if there are any. */
  emit(reason: EventReason, data: Record<string, unknown>, recipients?: readonly string[]): void;
  /** The miner broke the contract. */
  violation(code: string, detail: string): void;
  /** State was changed and must be saved. */
  changed(): void;
  log(event: string, fields: Record<string, unknown>): void;
  /** Ends when the validator closes. */
  readonly signal: AbortSignal;
}

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

export function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : iso(ms);
}
