// Servers and deployments as the miner API tells them, sorted by name, and found by name, id or a prefix that fits only one.

import { z } from 'zod';
import type { Context } from './command.ts';
import { notFoundError } from './errors.ts';
import type { Remote } from './http.ts';
import { byName } from './output/format.ts';
import { type DeploymentAnswer, deploymentShape, readAnswer, type ServerAnswer, serverShape } from './shapes.ts';

const management = { purpose: 'management' };

export async function readServers(miner: Remote): Promise<ServerAnswer[]> {
  const answer = await miner.json('GET', '/servers/', management);
  const servers = readAnswer(z.array(serverShape), answer, 'the inventory');
  return servers.sort((a, b) => byName(a.name, b.name) || byName(a.server_id, b.server_id));
}

/** The server of that name or id; without one, all. Exit 4 when there is none. */
export async function selectServers(context: Context, wanted: string | undefined): Promise<ServerAnswer[]> {
  const servers = await readServers(await context.miner());
  if (wanted === undefined) return servers;
  const found = servers.filter(({ name, server_id }) => name === wanted || server_id === wanted);
  if (found.length > 0) return found;
  throw notFoundError(`no server has the name or id ${wanted}`, knownHint(servers.map(({ name }) => name)));
}

export async function selectServer(context: Context, wanted: string): Promise<ServerAnswer> {
  const [server] = await selectServers(context, wanted);
  if (!server) throw notFoundError(`no server has the name or id ${wanted}`);
  return server;
}

export function knownHint(names: readonly string[]): string {
  if (names.length === 0) return 'the inventory is empty';
  return `known: ${names.slice(0, 8).join(', ')}${names.length > 8 ? ` and ${names.length - 8} more` : ''}`;
}

export interface PlacedDeployment {
  deployment: DeploymentAnswer;
  server: ServerAnswer;
}

export function chuteName({ chute, chute_id }: DeploymentAnswer): string {
  return chute?.name ?? chute_id;
}

export function deploymentsOf(servers: readonly ServerAnswer[]): PlacedDeployment[] {
  return servers
    .flatMap((server) => server.deployments.map((deployment) => ({ deployment, server })))
    .sort(
      (a, b) =>
        byName(chuteName(a.deployment), chuteName(b.deployment)) ||
        byName(a.deployment.deployment_id, b.deployment.deployment_id),
    );
}

/** Upstream's rule: only what serves is active. */
export function stateOf({ active, stub, verified_at, instance_id }: DeploymentAnswer): string {
  if (stub) return 'Planned';
  if (active) return 'Active';
  if (verified_at) return 'Verified';
  return instance_id ? 'Claimed' : 'Starting';
}

/** Deployments that run a job on a server: what a deletion would break off. */
export async function readJobs(miner: Remote, server: string): Promise<DeploymentAnswer[]> {
  const answer = await miner.json('GET', `/servers/${encodeURIComponent(server)}/delete_preflight`, management);
  return readAnswer(z.object({ jobs: z.array(deploymentShape) }), answer, 'the preflight').jobs;
}

export function deploymentLine(deployment: DeploymentAnswer, server?: string): string {
  const where = server === undefined ? '' : ` on ${server}`;
  return `${chuteName(deployment)}${where} (${deployment.deployment_id})${deployment.job_id ? ', runs a job' : ''}`;
}
