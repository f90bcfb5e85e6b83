// The controller's end of the link: Gepetto waits here for what changed, and asks for what only the controller may do. The token is the
// only way in; it is meant for an address inside the cluster.

import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import fastify from 'fastify';
import type { Logger } from 'pino';
import { messageOf } from '../domain/errors.ts';
import type { ControllerLink, Observation } from '../domain/ports.ts';
import { decode, encode, type RequestBody, type RequestName, requestNames, requests } from './protocol.ts';

export interface LinkServerOptions {
  link: ControllerLink;
  token: string;
  log: Pick<Logger, 'error'>;
  host: string;
  port: number;
  /**
   * How many times as long as the view took to write out it may show older lists of the members than there are, when nothing else of them
   * differs. Default 50: what a freed GPU waits for is told at once to a few members, within seconds to hundreds.
   */
  sparing?: number;
}

export interface LinkServer {
  url: string;
  close(): Promise<void>;
}

/** A client asks again after this; a proxy in between must not cut the connection first. */
const longestWaitMs = 20_000;
const bodyLimit = 32 * 2 ** 20;

/** What a half of the view is made of: replaced when it changes, never changed in place. */
interface Parts {
  news: readonly unknown[];
  /** What alone is no reason to hurry. */
  other?: readonly unknown[];
}

function differ(one: readonly unknown[] = [], other: readonly unknown[] = []): boolean {
  return one.length !== other.length || one.some((part, i) => part !== other[i]);
}

/**
 * Text of one half of the view, with a tag that changes when the text does. It is written out again when there is news, or when something
 * else is new and `sparing` times as long has passed as writing took.
 */
function tagged<T>(read: () => T, partsOf: (value: T) => Parts, boot: string, sparing: number) {
  let parts: Parts | undefined;
  let text = '';
  let count = 0;
  let dueAt = 0;
  let isWaiting = false;

  function write(value: T): void {
    const startedAt = performance.now();
    const next = encode(value);
    if (next !== text) count += 1;
    text = next;
    const endedAt = performance.now();
    dueAt = endedAt + (endedAt - startedAt) * sparing;
  }

  return {
    /** Ms until there is something to write out, as far as is known. */
    dueMs: () => (isWaiting ? Math.max(1, dueAt - performance.now()) : Number.POSITIVE_INFINITY),
    now() {
      const value = read();
      const now = partsOf(value);
      isWaiting = parts !== undefined && differ(parts.other, now.other);
      if (!parts || differ(parts.news, now.news) || (isWaiting && performance.now() >= dueAt)) {
        parts = now;
        isWaiting = false;
        write(value);
      }
      return { tag: `${boot}-${count}`, text };
    },
  };
}

/** Hundreds of members are listed again many times a second: that alone is no news, or the whole view would be on its way all the time. */
function partsOfObservation({ pods, health }: Observation): Parts {
  const members = [...health];
  return {
    news: [...pods, ...members.flatMap(([name, { state, since, closed }]) => [name, state, since, closed])],
    other: members.map(([, { syncedAt }]) => syncedAt),
  };
}

export async function serveLink(options: LinkServerOptions): Promise<LinkServer> {
  const { link, token, log, host, port, sparing = 50 } = options;
  const boot = randomUUID();
  const feeds = tagged(link.feeds, (byValidator) => ({ news: [...byValidator].flat() }), boot, sparing);
  const observation = tagged(link.observe, partsOfObservation, boot, sparing);
  const waiting = new Set<() => void>();
  let closing = false;
  function wakeAll(): void {
    for (const wake of waiting) wake();
  }
  link.onChange(wakeAll);

  const app = fastify({ bodyLimit, logger: false, forceCloseConnections: true });
  const digestOf = (header: string) => createHash('sha256').update(header).digest();
  const digest = digestOf(`Bearer ${token}`);
  app.addHook('onRequest', async (request, reply) => {
    if (!timingSafeEqual(digestOf(request.headers.authorization ?? ''), digest))
      return reply.code(401).send({ error: 'E-LINK', detail: 'wrong token' });
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));

  /** The halves that are not the ones named; undefined when there is none. */
  function viewSince(known: { feeds?: string; observation?: string }): string | undefined {
    const now = { feeds: feeds.now(), observation: observation.now() };
    if (now.feeds.tag === known.feeds && now.observation.tag === known.observation) return undefined;
    const parts = [
      `"feedsTag":"${now.feeds.tag}"`,
      `"observationTag":"${now.observation.tag}"`,
      ...(now.feeds.tag === known.feeds ? [] : [`"feeds":${now.feeds.text}`]),
      ...(now.observation.tag === known.observation ? [] : [`"observation":${now.observation.text}`]),
    ];
    return `{${parts.join(',')}}`;
  }

  app.get<{ Querystring: { feeds?: string; observation?: string } }>('/view', async (request, reply) => {
    const deadline = Date.now() + longestWaitMs;
    let view = viewSince(request.query);
    while (view === undefined && Date.now() < deadline && !reply.raw.destroyed && !closing) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, Math.min(observation.dueMs(), deadline - Date.now()));
      waiting.add(resolve);
      reply.raw.once('close', resolve);
      await promise;
      clearTimeout(timer);
      waiting.delete(resolve);
      reply.raw.off('close', resolve);
      view = viewSince(request.query);
    }
    if (view === undefined) return reply.code(204).send();
    return reply.type('application/json').send(view);
  });

  const answers: { [N in RequestName]: (body: RequestBody<N>) => unknown } = {
    launch: ({ specs }) => link.launch(specs as Parameters<ControllerLink['launch']>[0]),
    cancel: ({ specs }) => link.cancel(specs as Parameters<ControllerLink['cancel']>[0]),
    'delete-instance': ({ validator, chuteId, instanceId }) => link.deleteInstance(validator, chuteId, instanceId),
    'release-job': ({ validator, jobId }) => link.releaseJob(validator, jobId),
    chute: ({ validator, chuteId, version }) => link.chute(validator, chuteId, version),
    refresh: () => link.refreshFeeds(),
    'refresh-applications': ({ folders, commit }) => link.refreshApplications(folders, commit),
    report: ({ configCommit, held, blocked, memory }) => link.report({ configCommit, held, blocked, memory }),
  };

  function addRequest<N extends RequestName>(name: N): void {
    app.post(`/${name}`, async (request, reply) => {
      let body: RequestBody<N>;
      try {
        body = requests[name].parse(decode(String(request.body))) as RequestBody<N>;
      } catch (error) {
        return reply.code(400).send({ error: 'E-LINK', detail: messageOf(error) });
      }
      try {
        return reply.type('application/json').send(encode({ answer: await answers[name](body) }));
      } catch (error) {
        log.error({ request: name, reason: messageOf(error) }, 'a request of Gepetto failed');
        return reply.code(502).send({ error: 'E-LINK', detail: messageOf(error) });
      }
    });
  }
  for (const name of requestNames) addRequest(name);

  const url = await app.listen({ host, port });
  return {
    url,
    async close() {
      closing = true;
      wakeAll();
      await app.close();
    },
  };
}
