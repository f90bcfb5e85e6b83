// POST /servers/: checks answered with a status, then a stream of progress lines `data: {"timestamp","message"}` and nothing else
// (protocol.md 4.1.2, trap 20). The last message tells how it ended; after a failure the stream is cut off, so that a client notices.

import type { FastifyReply, FastifyRequest } from 'fastify';
import { systemClock } from '../domain/clock.ts';
import type { ServerConfig } from '../domain/config.ts';
import { MinerError } from '../domain/errors.ts';
import { rawBody } from './authentication.ts';
import { parseJson, readInput } from './input.ts';
import type { ApiOptions } from './options.ts';
import { RequestError } from './problem.ts';
import { serverRequest } from './schemas.ts';

/** The node to add. Throws 422 for a body that is no request, 400 without an agent. */
function readServerRequest(body: Buffer): ServerConfig {
  const { name, validator, hourly_cost, gpu_short_ref, agent_api } = readInput(serverRequest, parseJson(body), 'body');
  if (!agent_api)
    throw new RequestError(400, 'E-USAGE', 'agent_api is required: the URL of the agent on the GPU server');
  return {
    name,
    validator,
    hourlyCost: hourly_cost,
    gpuShortRef: gpu_short_ref,
    agentApi: agent_api,
    locked: false,
  };
}

/** GPUs the validator knows already: the one failure after which the stream ends normally. */
function isConflict(error: unknown): boolean {
  return error instanceof MinerError && error.code === 'E-VALIDATOR' && error.detail?.status === 409;
}

export async function addServer(
  request: FastifyRequest,
  reply: FastifyReply,
  options: ApiOptions,
): Promise<FastifyReply> {
  const { nodes, changed, clock = systemClock } = options;
  const prepared = await nodes.prepare(readServerRequest(rawBody(request)));
  const { raw } = reply.hijack();
  const gone = new AbortController();
  raw.on('close', () => gone.abort());
  raw.on('error', () => gone.abort());
  if (request.raw.socket.destroyed) gone.abort();
  raw.writeHead(200);

  function progress(message: string): void {
    if (gone.signal.aborted) return;
    const timestamp = new Date(clock.now()).toISOString().replace('Z', '');
    raw.write(`data: ${JSON.stringify({ timestamp, message })}\n\n`);
  }

  try {
    await prepared.run(progress, gone.signal);
    changed();
    raw.end();
  } catch (error) {
    if (isConflict(error)) raw.end();
    // What was written is delivered, the end of the chunked body is not.
    else raw.socket?.destroySoon();
  }
  return reply;
}
