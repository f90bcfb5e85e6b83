// What the tests of a contract are given.

import * as assert from 'uvu/assert';
import { MinerError } from '../../domain/errors.ts';
import type { Store } from '../../domain/ports.ts';

export interface World {
  store: Store;
  /** Rows of a statement, past the store. */
  rows(statement: string): Promise<Record<string, unknown>[]>;
}

/** `rule` is a sentence; the world is empty when it starts. */
export type Rule = (rule: string, check: (world: World) => Promise<void>) => void;

/** The MinerError that `promise` rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<MinerError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof MinerError)) assert.unreachable(`expected a MinerError, got ${error}`);
  return error as MinerError;
}
