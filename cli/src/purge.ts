// Removing deployments: what is hit is listed before, and what the miner answered is shown after.

import { z } from 'zod';
import type { Context } from './command.ts';
import {
  deploymentLine,
  deploymentsOf,
  type PlacedDeployment,
  readJobs,
  readServers,
  selectServer,
} from './inventory.ts';
import { confirm } from './prompt.ts';
import { showReply } from './reply.ts';

const purged = z.looseObject({ deployments_purged: z.array(z.looseObject({ chute_id: z.string() })).default([]) });
const management = { purpose: 'management' };

function placedLine({ deployment, server }: PlacedDeployment): string {
  return deploymentLine(deployment, server.name);
}

/** Chute ids of the answer, for `-o name`. */
function purgedNames(reply: unknown): string[] {
  const read = purged.safeParse(reply);
  return read.success ? read.data.deployments_purged.map(({ chute_id }) => chute_id) : [];
}

export async function purgeServer(context: Context, nameOrId: string): Promise<undefined> {
  const miner = await context.miner();
  const server = await selectServer(context, nameOrId);
  const path = `/servers/${encodeURIComponent(nameOrId)}`;
  const jobs = await readJobs(miner, nameOrId);
  const spared = new Set(jobs.map(({ deployment_id }) => deployment_id));
  const hit = deploymentsOf([server]).filter(({ deployment }) => !spared.has(deployment.deployment_id));
  if (spared.size > 0) context.out.warn(`${spared.size} deployment(s) on ${server.name} run jobs and stay`);
  const targets = hit.length > 0 ? hit.map(placedLine) : ['nothing runs there now'];
  await confirm(context, { action: `remove ${hit.length} deployment(s) of ${server.name}`, targets });
  const reply = await miner.json('DELETE', `${path}/deployments`, management);
  await showReply(context, reply, purgedNames(reply));
}

export async function purgeDeployment(context: Context, id: string): Promise<undefined> {
  const miner = await context.miner();
  const known = deploymentsOf(await readServers(miner)).find(({ deployment }) => deployment.deployment_id === id);
  const targets = [known ? placedLine(known) : id];
  await confirm(context, { action: 'remove 1 deployment', targets });
  const reply = await miner.json('DELETE', `/deployments/${encodeURIComponent(id)}`, management);
  await showReply(context, reply, [id]);
}

export async function purgeAll(context: Context): Promise<undefined> {
  const miner = await context.miner();
  const hit = deploymentsOf(await readServers(miner));
  const { address } = await context.signer();
  await confirm(context, {
    action: `remove all ${hit.length} deployments, jobs included`,
    targets: hit.map(placedLine),
    hotkey: address,
  });
  const reply = await miner.json('DELETE', '/deployments/purge', management);
  await showReply(context, reply, purgedNames(reply));
}
