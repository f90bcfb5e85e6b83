// All that the simulated validator knows and must not forget: one JSON file, written whole and atomically, at most every 100 ms.
// Times are ms of the simulated clock; seeds are decimal strings.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { MinerError, messageOf } from '@miner/controller/domain/errors.ts';
import type { ValidatorState } from './records.ts';

export function emptyState(tokenKey: string): ValidatorState {
  return {
    format: 1,
    tokenKey,
    nodes: {},
    servers: {},
    tasks: {},
    chutes: {},
    configs: {},
    instances: {},
    jobs: {},
    gpuOwners: {},
    terminations: [],
    violations: [],
    paid: 0,
    claims: 0,
    activations: 0,
    rejected: 0,
    outage: 'none',
    blacklist: [],
    audits: [],
  };
}

/** The saved state; undefined when there is no file. Throws E-STORE for a file that is not such a state. */
export function loadState(file: string): ValidatorState | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MinerError('E-STORE', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
  try {
    const state = JSON.parse(text) as ValidatorState;
    const tables: unknown[] = [state.nodes, state.chutes, state.configs, state.instances, state.jobs];
    if (state.format === 1 && tables.every((table) => typeof table === 'object' && table !== null)) {
      // Tables that came later are empty in an older file.
      return { ...emptyState(state.tokenKey), ...state };
    }
  } catch {
    // Falls through to the same answer as a wrong shape.
  }
  throw new MinerError('E-STORE', `${file} is no state of a simulated validator; delete it to start afresh`);
}

/** Writes `state` at most every `intervalMs` real milliseconds after `changed()`, and at `flush()`. */
export function stateWriter(file: string | undefined, state: ValidatorState, intervalMs = 100) {
  let timer: NodeJS.Timeout | undefined;
  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    if (file === undefined) return;
    const next = `${file}.${process.pid}.next`;
    writeFileSync(next, JSON.stringify(state), { mode: 0o600 });
    renameSync(next, file);
  }
  function changed(): void {
    if (file !== undefined) timer ??= setTimeout(flush, intervalMs);
  }
  return { changed, flush };
}
