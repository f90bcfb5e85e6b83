// The whole inventory as JSON, 11 MB for 1,000 servers: written in slices, so that the process turns to other work in between, and once
// for all callers who wait for it at the same time.

import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { type Inventory, serverShape } from './shapes.ts';

const serversPerTurn = 50;

/** The `serverShape` of every server, in UTF-8. */
export async function writeServers(inventory: Inventory): Promise<Buffer> {
  const slices: Buffer[] = [];
  const { servers } = inventory;
  for (let from = 0; from < servers.length; from += serversPerTurn) {
    if (from > 0) await turn();
    const shapes = servers.slice(from, from + serversPerTurn).map((server) => serverShape(server, inventory));
    slices.push(Buffer.from(`${from > 0 ? ',' : ''}${JSON.stringify(shapes).slice(1, -1)}`));
  }
  return Buffer.concat([Buffer.from('['), ...slices, Buffer.from(']')]);
}

/** A read that hangs holds the others up no longer than this. */
const patience = 10_000;

/**
 * At most one read runs, and at most one waits: every caller gets the answer of a read that began after the call, so nobody is told what
 * was true before their last change. A failure is that of those who share the read. `patienceMs`: after so long the next one begins.
 */
export function shareReads<T>(read: () => Promise<T>, patienceMs = patience): () => Promise<T> {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | undefined;
  return () => {
    next ??= running.then(() => {
      next = undefined;
      const result = read();
      running = Promise.race([result.catch(() => undefined), sleep(patienceMs, undefined, { ref: false })]);
      return result;
    });
    return next;
  };
}
