// `POST /hooks/git`: a git host tells that somebody pushed. What it says is not read, only checked to come from whoever has the secret;
// the branches are then looked at, at once and never twice at a time.

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';

export interface HookOptions {
  secret: string;
  /** Look at the git host. */
  refresh(): Promise<void>;
  onProblem(error: unknown): void;
}

/** Pushes of many commits have long bodies. */
const bodyLimit = 8 * 1024 * 1024;

/** In time that does not depend on where they differ. */
function same(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => createHash('sha256').update(text).digest());
  return left !== undefined && right !== undefined && timingSafeEqual(left, right);
}

/** GitHub and Gitea sign the body (HMAC-SHA256 in hex), GitLab sends the secret itself. */
function isGenuine({ headers, body }: FastifyRequest, secret: string): boolean {
  const { 'x-gitlab-token': token, 'x-hub-signature-256': github, 'x-gitea-signature': gitea } = headers;
  if (typeof token === 'string') return same(token, secret);
  const signature = typeof github === 'string' ? github.replace(/^sha256=/, '') : gitea;
  const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
  const expected = createHmac('sha256', secret).update(bytes).digest('hex');
  return typeof signature === 'string' && same(signature.toLowerCase(), expected);
}

/** Answers 202 at once, and 401 without a word to everybody else. */
export function serveHook(app: FastifyInstance, { secret, refresh, onProblem }: HookOptions): void {
  let looking: Promise<void> | undefined;
  let again = false;

  async function look(): Promise<void> {
    do {
      again = false;
      await refresh().catch(onProblem);
    } while (again);
    looking = undefined;
  }

  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit }, (_request, body, done) => done(null, body));
    scope.post('/hooks/git', { bodyLimit }, async (request, reply) => {
      if (!isGenuine(request, secret)) return reply.code(401).send({ error: 'E-AUTH' });
      again = looking !== undefined;
      looking ??= look();
      return reply.code(202).send({ status: 'looking' });
    });
  });
}
