// JSON as the API writes it: one native pass; an integer beyond 2^53 keeps every digit.

import type { FastifyReply } from 'fastify';

declare global {
  interface JSON {
    /** An object that `stringify` writes as this text (ECMA-262, JSON.rawJSON). */
    rawJSON(text: string): { rawJSON: string };
  }
}

/** A bigint as `JSON.stringify` shall write it: a bare integer. */
export function exact(value: bigint): { rawJSON: string } {
  return JSON.rawJSON(value.toString());
}

export const jsonType = 'application/json; charset=utf-8';

export function sendJson(reply: FastifyReply, value: unknown): FastifyReply {
  return reply.type(jsonType).send(JSON.stringify(value));
}
