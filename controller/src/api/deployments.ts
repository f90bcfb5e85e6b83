// The routes of deployments (protocol.md 4.1), and of the decisions that made them.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { systemClock } from '../domain/clock.ts';
import type { DeploymentLifecycle } from '../domain/deployment.ts';
import type { RouteFacts } from './facts.ts';
import { readInput } from './input.ts';
import { readInventory } from './inventory.ts';
import { sendJson } from './json.ts';
import type { ApiOptions } from './options.ts';
import { notFound } from './problem.ts';
import * as schemas from './schemas.ts';
import { decisionShape, deploymentShape, type Inventory, purgeShape } from './shapes.ts';

type ById = FastifyRequest<{ Params: { id: string } }>;

function route(facts: RouteFacts) {
  return { config: { purpose: 'management', facts } };
}

const list = route({
  id: 'listDeployments',
  tag: 'deployments',
  summary: 'All deployments that are wanted.',
  ok: z.array(schemas.deployment),
});
const purgeServer = route({
  id: 'purgeServer',
  tag: 'servers',
  summary: 'Remove the deployments of a server, but not its jobs; nothing for a server that is not known.',
  ok: schemas.purge,
});
const purgeAll = route({
  id: 'purgeDeployments',
  tag: 'deployments',
  summary: 'Remove all deployments, jobs as well.',
  ok: schemas.purge,
});
const purgeOne = route({
  id: 'purgeDeployment',
  tag: 'deployments',
  summary: 'Remove one deployment.',
  ok: schemas.singlePurge,
  others: { 404: 'No deployment has this id.' },
});
const listDecisions = route({
  id: 'listDecisions',
  tag: 'decisions',
  query: schemas.decisionQuery,
  summary: 'What was decided and why, newest first.',
  ok: z.array(schemas.decision),
});

const dryRun = route({
  id: 'plan',
  tag: 'decisions',
  query: schemas.planQuery,
  summary: 'What would be decided now; nothing is launched, written or asked of the validator.',
  ok: schemas.plan,
});

const planWorld = route({
  id: 'planWorld',
  tag: 'decisions',
  summary: 'All that a plan is made from now, to plan again elsewhere; see docs/world-file.md.',
  ok: schemas.world,
});

export function addDeploymentRoutes(app: FastifyInstance, options: ApiOptions): void {
  async function purge(rows: readonly DeploymentLifecycle[], inventory: Inventory, reply: FastifyReply) {
    if (rows.length > 0) await options.undeploy(rows.map(({ deploymentId }) => deploymentId));
    return sendJson(reply, { status: 'initiated', deployments_purged: rows.map((row) => purgeShape(row, inventory)) });
  }

  app.get('/deployments/', list, async (_request, reply) => {
    const inventory = await readInventory(options);
    return sendJson(
      reply,
      inventory.deployments.map((row) => deploymentShape(row, inventory)),
    );
  });

  app.delete('/servers/:id/deployments', purgeServer, async (request: ById, reply) => {
    const inventory = await readInventory(options);
    const { id } = request.params;
    const server = inventory.byName.get(id) ?? inventory.servers.find(({ serverId }) => serverId === id);
    const rows = inventory.onServer.get(server?.name ?? '') ?? [];
    const preemptible = rows.filter((row) => row.jobId === undefined);
    return purge(preemptible, inventory, reply);
  });

  app.delete('/deployments/purge', purgeAll, async (_request, reply) => {
    const inventory = await readInventory(options);
    return purge(inventory.deployments, inventory, reply);
  });

  app.delete('/deployments/:id', purgeOne, async (request: ById, reply) => {
    const inventory = await readInventory(options);
    const row = inventory.deployments.find(({ deploymentId }) => deploymentId === request.params.id);
    if (!row) throw notFound(`no deployment ${request.params.id}`);
    await options.undeploy([row.deploymentId]);
    return sendJson(reply, { status: 'initiated', deployment_purged: deploymentShape(row, inventory) });
  });

  app.get('/decisions', listDecisions, async (request, reply) => {
    const query = readInput(schemas.decisionQuery, request.query, 'query');
    const decisions = await options.store.decisions(query.limit, {
      deploymentId: query.deployment_id,
      chuteId: query.chute_id,
      server: query.server === undefined ? undefined : await nameOf(query.server),
    });
    return sendJson(reply, decisions.map(decisionShape));
  });

  const { plan } = options;
  if (plan) {
    app.get('/plan', dryRun, async (request, reply) => {
      const { chute } = readInput(schemas.planQuery, request.query, 'query');
      const { decisions, held, blocked, whyNot } = await plan(chute);
      const rows = decisions.map((decision) => ({
        decisionId: decision.decisionId,
        decidedAt: (options.clock ?? systemClock).now(),
        decision,
        commit: undefined,
      }));
      const why_not = whyNot.map(({ chuteId, chuteName, reasons }) => ({
        chute_id: chuteId,
        chute_name: chuteName,
        reasons,
      }));
      return sendJson(reply, { decisions: rows.map(decisionShape), held, blocked, why_not });
    });
  }

  const { world } = options;
  if (world) {
    app.get('/plan/world', planWorld, async (_request, reply) => reply.type('application/json').send(await world()));
  }

  /** Decisions outlive their servers: an unknown name is looked up as it is. */
  async function nameOf(nameOrId: string): Promise<string> {
    const servers = await options.store.servers();
    return servers.find(({ serverId }) => serverId === nameOrId)?.name ?? nameOrId;
  }
}
