// Limits per source, before any signature is looked at. Sources are the addresses of the connections: a header cannot change them.
// Counters are kept for the newest 5,000 sources.

import { normalizeIP } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ApiLimits, ApiOptions, Limit } from './options.ts';
import { RequestError } from './problem.ts';

const defaults = {
  requests: { max: 100, perMs: 1000 },
  // A forged signature costs about 1 ms: at most 2 % of a core for each source.
  refusals: { max: 20, perMs: 1000 },
} as const satisfies Required<ApiLimits>;

/** An IPv4 address or an IPv6 /64. */
export function sourceOf(request: FastifyRequest): string {
  return normalizeIP(request.ip);
}

export interface Budgets {
  /** Throws 429 when the source has used up its budget of refusals. */
  demandTrust(request: FastifyRequest, reply: FastifyReply): Promise<void>;
  /** Take one refusal off the budget of the source. */
  spendTrust(request: FastifyRequest): Promise<void>;
}

/** Counts every request from here on. The plugin `@fastify/rate-limit` must be there. */
export function addLimits(app: FastifyInstance, { limits, onLimited }: ApiOptions): Budgets {
  const counter = ({ max, perMs }: Limit) => app.createRateLimit({ max, timeWindow: perMs });
  const requests = counter(limits?.requests ?? defaults.requests);
  const refusals = counter(limits?.refusals ?? defaults.refusals);

  function turnAway(limit: keyof ApiLimits, reply: FastifyReply, seconds: number): never {
    onLimited?.(limit);
    reply.header('retry-after', Math.max(1, seconds));
    throw new RequestError(429, 'E-LIMIT', 'too many requests');
  }

  app.addHook('onRequest', async (request, reply) => {
    const count = await requests(request);
    if (!count.isAllowed && count.isExceeded) turnAway('requests', reply, count.ttlInSeconds);
  });

  return {
    async demandTrust(request, reply) {
      const count = await refusals(request, { increment: false });
      if (!count.isAllowed && count.remaining === 0) turnAway('refusals', reply, count.ttlInSeconds);
    },
    async spendTrust(request) {
      await refusals(request);
    },
  };
}
