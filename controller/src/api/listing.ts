// The whole inventory as JSON, 11 MB for 1,000 servers: every GPU and every chute becomes text once, however often it is shown; the
// process turns to other work in between; and callers who wait at the same time share one answer.

import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import type { DeploymentLifecycle } from '../domain/deployment.ts';
import type { Server } from '../domain/server.ts';
import { chuteShape, deploymentColumns, gpuShape, gpusOf, type Inventory, serverColumns } from './shapes.ts';

const serversPerTurn = 25;

/** The columns of an object, then these members, whose values are JSON already. */
function withMembers(columns: object, members: Readonly<Record<string, string>>): string {
  const more = Object.entries(members).map(([name, json]) => `,"${name}":${json}`);
  return `${JSON.stringify(columns).slice(0, -1)}${more.join('')}}`;
}

/** The same value as `serverShape` of every server, in UTF-8. */
export async function writeServers(inventory: Inventory): Promise<Buffer> {
  const chutes = new Map<string, string>();

  function chuteText(row: DeploymentLifecycle): string {
    const chute = inventory.chutes.get(row.chuteId);
    // What is shown of a forgotten chute is taken from the row.
    if (!chute) return JSON.stringify(chuteShape(row, undefined));
    const known = chutes.get(row.chuteId) ?? JSON.stringify(chuteShape(row, chute));
    chutes.set(row.chuteId, known);
    return known;
  }

  function serverText(server: Server): string {
    const gpus = new Map(server.gpus.map((gpu) => [gpu.gpuId, JSON.stringify(gpuShape(gpu, server, inventory))]));
    const rows = inventory.onServer.get(server.name) ?? [];
    const deployments = rows.map((row) =>
      withMembers(deploymentColumns(row, inventory), {
        gpus: `[${gpusOf(row, server).map(({ gpuId }) => gpus.get(gpuId))}]`,
        chute: chuteText(row),
      }),
    );
    return withMembers(serverColumns(server, inventory), {
      gpus: `[${[...gpus.values()]}]`,
      deployments: `[${deployments}]`,
    });
  }

  const slices: Buffer[] = [];
  const { servers } = inventory;
  for (let from = 0; from < servers.length; from += serversPerTurn) {
    if (from > 0) await turn();
    const texts = servers.slice(from, from + serversPerTurn).map(serverText);
    slices.push(Buffer.from(`${from > 0 ? ',' : ''}${texts}`));
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
