// Scores strategies on a trace over several seeds, the same question for `main.ts` and for whoever calls from a program: which strategy,
// from where, how good beside the upstream rules.

import { readFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MinerError, messageOf } from '@miner/controller/domain/errors.ts';
import type { Trace } from './format.ts';
import { createStrategy as gepetto } from './gepetto.ts';
import { replayHooked } from './hooks.ts';
import type { TraceResult } from './market.ts';
import { replayProgram } from './process.ts';
import type { CreateStrategy } from './protocol.ts';
import { replay } from './replay.ts';
import { createStrategy as upstream } from './upstream.ts';

export interface SeedResult extends TraceResult {
  seed: number;
}

export interface Simulation {
  strategy: string;
  runs: SeedResult[];
  /** Of the scores, in multiplier-hours; the spread is the sample standard deviation. */
  mean: number;
  spread: number;
}

/** Plays a trace once with a seed. */
export type Player = (trace: Trace, seed: number) => Promise<TraceResult>;

const moduleEndings = new Set(['.ts', '.mts', '.js', '.mjs']);

function inProcess(create: CreateStrategy): Player {
  return async (trace, seed) => replay(trace, create(seed));
}

/** Export of a module that is a whole strategy; any other module has hooks. */
const wholeStrategy =
  /^export\s+(?:(?:async\s+)?function|const|let)\s+createStrategy\b|^export\s*\{[^}]*\bcreateStrategy\b/m;

/**
 * `gepetto` or `upstream`; a strategy.ts as in a cluster repository, which is not trusted; a module that exports `createStrategy(seed)`, which
 * is; or any other file as a program of the line protocol, started with the seed as its argument. Throws E-USAGE when it cannot be loaded.
 */
export async function loadPlayer(strategy: string): Promise<Player> {
  if (strategy === 'upstream') return inProcess(upstream);
  if (strategy === 'gepetto') return inProcess(gepetto);
  const path = resolve(strategy);
  if (!moduleEndings.has(extname(path))) {
    return (trace, seed) => replayProgram(trace, { command: path, args: [String(seed)] });
  }
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new MinerError('E-USAGE', `The strategy ${strategy} cannot be read: ${messageOf(error)}`, { cause: error });
  });
  if (!wholeStrategy.test(text)) return (trace, seed) => replayHooked(trace, text, strategy, seed);
  let loaded: { createStrategy?: unknown };
  try {
    loaded = await import(pathToFileURL(path).href);
  } catch (error) {
    throw new MinerError('E-USAGE', `The strategy ${strategy} cannot be loaded: ${messageOf(error)}`, { cause: error });
  }
  const { createStrategy } = loaded;
  if (typeof createStrategy !== 'function') {
    throw new MinerError('E-USAGE', `The strategy ${strategy} must export a function createStrategy(seed).`);
  }
  return inProcess(createStrategy as CreateStrategy);
}

export function meanAndSpread(values: readonly number[]): { mean: number; spread: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, spread: Math.sqrt(squares / Math.max(1, values.length - 1)) };
}

/** Plays the trace once for each seed. `onRun` hears of each result as it comes. */
export async function simulate(
  trace: Trace,
  strategy: string,
  seeds: readonly number[],
  onRun: (run: SeedResult) => void = () => {},
): Promise<Simulation> {
  const play = await loadPlayer(strategy);
  const runs: SeedResult[] = [];
  for (const seed of seeds) {
    const run = { seed, ...(await play(trace, seed)) };
    runs.push(run);
    onRun(run);
  }
  return { strategy, runs, ...meanAndSpread(runs.map(({ score }) => score)) };
}
