// The routes of servers (protocol.md 4.1).

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { messageOf } from '../domain/errors.ts';
import { addServer } from './add-server.ts';
import type { RouteFacts } from './facts.ts';
import { findServer, readInventory, setLocked } from './inventory.ts';
import { jsonType, sendJson } from './json.ts';
import { mergeKubeconfigs } from './kubeconfig.ts';
import { shareReads, writeServers } from './listing.ts';
import type { ApiOptions } from './options.ts';
import * as schemas from './schemas.ts';
import { deploymentShape, serverShape } from './shapes.ts';

type ById = FastifyRequest<{ Params: { id: string } }>;

const noServer = { 404: 'No server has this name or id.' };

function route(purpose: 'management' | 'kubeconfig', facts: Omit<RouteFacts, 'tag'>) {
  return { config: { purpose, facts: { ...facts, tag: 'servers' } as const } };
}

const list = route('management', {
  id: 'listServers',
  summary: 'All servers with their GPUs and deployments.',
  ok: z.array(schemas.server),
});
const add = route('management', {
  id: 'addServer',
  summary: 'Add a server and prove its GPUs; tells its progress until the last message says how it ended.',
  body: schemas.serverRequest,
  ok: { type: 'text/event-stream', description: 'Lines `data: {"timestamp","message"}`; sent without a content type.' },
  others: {
    400: 'No agent_api, a kubeconfig without that context, or a short ref the validator does not support.',
    404: 'The node cannot be read.',
    409: 'A server of that name or node is there already.',
    413: 'The body is too large.',
    500: 'The validator did not answer, or refused.',
    502: 'The agent did not answer with a kubeconfig.',
  },
});
const lockFacts = { ok: schemas.server, others: noServer } as const;
const lock = route('management', {
  ...lockFacts,
  id: 'lockServer',
  summary: 'Deploy nothing new on this server; what runs goes on.',
});
const unlock = route('management', { ...lockFacts, id: 'unlockServer', summary: 'Deploy on this server again.' });
const preflight = route('management', {
  id: 'preflightDelete',
  summary: 'The jobs that deleting this server would end.',
  ok: schemas.preflight,
  others: noServer,
});
const remove = route('management', {
  id: 'deleteServer',
  summary: 'Start to delete a server with all its deployments.',
  ok: schemas.deletion,
  others: noServer,
});
const kubeconfig = route('kubeconfig', {
  id: 'kubeconfig',
  summary: 'One kubeconfig for the control cluster and every server.',
  ok: schemas.kubeconfig,
});

export function addServerRoutes(app: FastifyInstance, options: ApiOptions): void {
  const { nodes, changed, log } = options;

  const listing = shareReads(async () => writeServers(await readInventory(options)));
  app.get('/servers/', list, async (_request, reply) => reply.type(jsonType).send(await listing()));

  app.post('/servers/', add, (request, reply) => addServer(request, reply, options));

  async function setLock({ params }: ById, reply: FastifyReply, locked: boolean): Promise<FastifyReply> {
    const { name } = findServer(await readInventory(options), params.id);
    await setLocked(name, locked, options);
    changed();
    const inventory = await readInventory(options);
    return sendJson(reply, serverShape(findServer(inventory, name), inventory));
  }
  app.get('/servers/:id/lock', lock, (request: ById, reply) => setLock(request, reply, true));
  app.get('/servers/:id/unlock', unlock, (request: ById, reply) => setLock(request, reply, false));

  app.get('/servers/:id/delete_preflight', preflight, async (request: ById, reply) => {
    const inventory = await readInventory(options);
    const { name } = findServer(inventory, request.params.id);
    const jobs = (inventory.onServer.get(name) ?? []).filter((row) => row.jobId !== undefined);
    return sendJson(reply, { jobs: jobs.map((row) => deploymentShape(row, inventory)) });
  });

  app.delete('/servers/:id', remove, async (request: ById, reply) => {
    const { name, serverId } = findServer(await readInventory(options), request.params.id);
    nodes
      .deleteNode(name)
      .catch((error: unknown) => log.error({ server: name, reason: messageOf(error) }, 'server not deleted'))
      .finally(changed);
    const detail = `server ${name} (${serverId}) and all its deployments are being deleted`;
    return sendJson(reply, { status: 'started', detail });
  });

  app.get('/servers/kubeconfig', kubeconfig, async (_request, reply) => {
    const [servers, kubeconfigs, control] = await Promise.all([
      options.store.servers(),
      options.kubeconfigs?.() ?? new Map<string, string>(),
      options.controlKubeconfig?.(),
    ]);
    const merged = mergeKubeconfigs({
      servers: servers.map(({ name }) => name).sort(),
      kubeconfigs,
      control,
      onLeftOut: (name, reason) => log.warn({ server: name, reason }, 'left out of the kubeconfig'),
    });
    return sendJson(reply.header('cache-control', 'no-store'), merged);
  });
}
