// Runs a challenge on an engine in this process and gives the bytes that two implementations must agree on.

import type { Addon, EngineKind, NativeSession } from '../addon.ts';
import type { OgvChallenge } from '../backend.ts';
import { commitOf, contextOf, sizesOf, walkKeyOf } from '../ogv/protocol.ts';
import { h100 } from './samples.ts';

export interface Roots {
  rootFill: string;
  rootWalk: string;
  commit: string;
}

export interface Run extends Roots {
  session: NativeSession;
}

export async function runEngine(
  addon: Addon,
  on: { engine: EngineKind; threads?: number; lanes?: string },
  challenge: OgvChallenge,
  pkM: Uint8Array,
): Promise<Run> {
  const { sigma, key } = contextOf(challenge, h100, pkM);
  const sizes = sizesOf(challenge.params);
  const session = new addon.OgvSession(on.engine, 0, on.threads ?? 0, on.lanes, sizes, ...key);
  const rootFill = await session.fill();
  const { a, b } = walkKeyOf(sigma, rootFill);
  const rootWalk = await session.walk(a, b);
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  return {
    session,
    rootFill: hex(rootFill),
    rootWalk: hex(rootWalk),
    commit: hex(commitOf(sigma, rootFill, rootWalk)),
  };
}
