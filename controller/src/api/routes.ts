// The management routes of protocol.md 4.1 for servers and deployments, and the miner's own status document.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { stringify } from 'lossless-json';
import type { DeploymentLifecycle } from '../domain/deployment.ts';
import { messageOf } from '../domain/errors.ts';
import { addServer } from './add-server.ts';
import { findServer, readInventory, setLocked } from './inventory.ts';
import type { ApiOptions } from './options.ts';
import { notFound, RequestError } from './problem.ts';
import { deploymentShape, type Inventory, purgeShape, serverShape } from './shapes.ts';

const management = { config: { purpose: 'management' } };

type ById = FastifyRequest<{ Params: { id: string } }>;

/** Seeds are bigint; they go out as bare integers. */
function send(reply: FastifyReply, value: unknown): FastifyReply {
  return reply.type('application/json; charset=utf-8').send(stringify(value));
}

function addServerRoutes(app: FastifyInstance, options: ApiOptions): void {
  const { nodes, changed, log } = options;

  app.get('/servers/', management, async (_request, reply) => {
    const inventory = await readInventory(options);
    return send(
      reply,
      inventory.servers.map((server) => serverShape(server, inventory)),
    );
  });

  app.post('/servers/', management, (request, reply) => addServer(request, reply, options));

  async function lock({ params }: ById, reply: FastifyReply, locked: boolean): Promise<FastifyReply> {
    const { name } = findServer(await readInventory(options), params.id);
    await setLocked(name, locked, options);
    changed();
    const inventory = await readInventory(options);
    return send(reply, serverShape(findServer(inventory, name), inventory));
  }
  app.get('/servers/:id/lock', management, (request: ById, reply) => lock(request, reply, true));
  app.get('/servers/:id/unlock', management, (request: ById, reply) => lock(request, reply, false));

  app.get('/servers/:id/delete_preflight', management, async (request: ById, reply) => {
    const inventory = await readInventory(options);
    const { name } = findServer(inventory, request.params.id);
    const jobs = inventory.deployments.filter((row) => row.server === name && row.jobId !== undefined);
    return send(reply, { jobs: jobs.map((row) => deploymentShape(row, inventory)) });
  });

  app.delete('/servers/:id', management, async (request: ById, reply) => {
    const { name, serverId } = findServer(await readInventory(options), request.params.id);
    nodes
      .deleteNode(name)
      .catch((error: unknown) => log.error({ server: name, reason: messageOf(error) }, 'server not deleted'))
      .finally(changed);
    const detail = `server ${name} (${serverId}) and all its deployments are being deleted`;
    return send(reply, { status: 'started', detail });
  });
}

function addDeploymentRoutes(app: FastifyInstance, options: ApiOptions): void {
  async function purge(rows: readonly DeploymentLifecycle[], inventory: Inventory, reply: FastifyReply) {
    if (rows.length > 0) await options.undeploy(rows.map(({ deploymentId }) => deploymentId));
    return send(reply, { status: 'initiated', deployments_purged: rows.map((row) => purgeShape(row, inventory)) });
  }

  app.delete('/servers/:id/deployments', management, async (request: ById, reply) => {
    const inventory = await readInventory(options);
    const { id } = request.params;
    const server = inventory.servers.find(({ name, serverId }) => name === id || serverId === id);
    const rows = inventory.deployments.filter((row) => row.server === server?.name && row.jobId === undefined);
    return purge(rows, inventory, reply);
  });

  app.delete('/deployments/purge', management, async (_request, reply) => {
    const inventory = await readInventory(options);
    return purge(inventory.deployments, inventory, reply);
  });

  app.delete('/deployments/:id', management, async (request: ById, reply) => {
    const inventory = await readInventory(options);
    const row = inventory.deployments.find(({ deploymentId }) => deploymentId === request.params.id);
    if (!row) throw notFound(`no deployment ${request.params.id}`);
    await options.undeploy([row.deploymentId]);
    return send(reply, { status: 'initiated', deployment_purged: deploymentShape(row, inventory) });
  });
}

export function addRoutes(app: FastifyInstance, options: ApiOptions): void {
  addServerRoutes(app, options);
  addDeploymentRoutes(app, options);
  app.get('/status', management, async (_request, reply) => {
    const status = await options.status();
    if (!status) throw new RequestError(503, 'E-NOT-READY', 'the first plan is not made yet');
    return send(reply, status);
  });
}
