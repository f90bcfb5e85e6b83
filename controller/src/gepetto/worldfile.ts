// A world as one JSON document, so that a real case can be planned again elsewhere: what the planner reads and nothing else, so no key,
// seed, address or source code. The document is described in docs/world-file.md.

import type { z } from 'zod';
import type { Policy } from '../domain/policy.ts';
import type { Server } from '../domain/server.ts';
import type { PassMemory } from './swap.ts';
import { emptyMemory, type World } from './world.ts';
import { chute, server, worldFile } from './worldshape.ts';

export interface Situation {
  /** ms since the Unix epoch. */
  now: number;
  policy: Policy;
  world: World;
  memory: PassMemory;
}

/** What `worldFile` parsed. The schemas give every field of the types or leave it undefined. */
export function situationOf({ now, policy, world: read, memory: known }: z.output<typeof worldFile>): Situation {
  return { now, policy, world: read as World, memory: known ?? emptyMemory };
}

const chuteFields = Object.keys(chute.shape);
const serverFields = Object.keys(server.shape);
const gpuFields = Object.keys(server.shape.gpus.element.shape);

function pick(value: object, names: readonly string[]): object {
  return Object.fromEntries(Object.entries(value).filter(([name]) => names.includes(name)));
}

function plainServer({ gpus, ...rest }: Server): object {
  return { ...pick(rest, serverFields), gpus: gpus.map((gpu) => pick(gpu, gpuFields)) };
}

/** Maps as objects by key, sets as lists, a chute as its fields here. */
function plain(_key: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  if (typeof value === 'object' && value !== null && 'refStr' in value) return pick(value, chuteFields);
  return value;
}

/** JSON text of the document. */
export function worldFileText({ now, policy, world: seen, memory: known }: Situation): string {
  const { refusals, failures, missing, advice } = known;
  const world = { ...pick(seen, Object.keys(worldFile.shape.world.shape)), servers: seen.servers.map(plainServer) };
  return JSON.stringify({ format: 1, now, policy, world, memory: { refusals, failures, missing, advice } }, plain, 1);
}
