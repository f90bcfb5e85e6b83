// What a route tells about itself. Nothing is checked or written by it: the OpenAPI document is made from it when somebody asks.

import type { z } from 'zod';

export interface RouteFacts {
  /** Name for generated clients. */
  id: string;
  /** Group in the document. */
  tag: 'servers' | 'deployments' | 'decisions' | 'miner';
  /** What it does, for people. */
  summary: string;
  body?: z.ZodType;
  query?: z.ZodType;
  /** Answer with status 200: a schema, or a media type and what is in it. */
  ok: z.ZodType | { type: string; description: string };
  /** Further answers, by status; all of them problems unless a schema is given. */
  others?: Readonly<Partial<Record<number, string | { description: string; schema: z.ZodType }>>>;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    facts?: RouteFacts;
  }
}

/** A route as the document needs it. */
export interface DescribedRoute {
  method: string;
  url: string;
  /** Whether requests must be signed. */
  signed: boolean;
  facts: RouteFacts;
}
