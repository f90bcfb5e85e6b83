// Gepetto's end of the link: keeps the last view and asks for the next one as soon as it has one. While the controller is away the view
// grows old: feeds keep the time at which they were fetched, and after a minute no member counts as healthy.

import type { Logger } from 'pino';
import type { Chute } from '../domain/chute.ts';
import type { Clock } from '../domain/clock.ts';
import type { MemberHealth } from '../domain/deployment.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import type { ControllerLink, Feeds, LaunchOutcome, Observation } from '../domain/ports.ts';
import { decode, encode, type RequestBody, type RequestName, type View } from './protocol.ts';

export interface LinkClientOptions {
  /** Of the controller's link, for example `http://controller:32010`. */
  url: string;
  token: string;
  /** Of the planner: health is told in its time. */
  clock: Pick<Clock, 'now'>;
  /** Real time, for pauses. */
  pause: Pick<Clock, 'now' | 'sleep'>;
  log: Pick<Logger, 'info' | 'warn'>;
  fetch?: typeof globalThis.fetch;
}

export interface LinkClient {
  link: ControllerLink;
  /** ms of real time since the controller answered. */
  silentFor(): number;
  close(): Promise<void>;
}

/** Longer than a server lets us wait. */
const viewTimeoutMs = 40_000;
/** A launch asks the validator and a member, both with time limits of their own. */
const requestTimeoutMs = 120_000;
const staleAfterMs = 60_000;
const retryMs = 1000;

/** Resolves with the first view. Keeps trying until the controller answers, and reports once that it does not. */
export async function connectLink(options: LinkClientOptions): Promise<LinkClient> {
  const { url, token, clock, pause, log, fetch = globalThis.fetch } = options;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const closing = new AbortController();
  const listeners: (() => void)[] = [];
  const first = Promise.withResolvers<void>();
  let feeds: ReadonlyMap<string, Feeds> = new Map();
  let observation: Observation = { pods: [], health: new Map() };
  let tags = { feeds: '', observation: '' };
  let answeredAt = pause.now();
  let complained = false;

  async function call(path: string, timeoutMs: number, init: RequestInit = {}): Promise<Response> {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(timeoutMs)]);
    let response: Response;
    try {
      response = await fetch(new URL(path, url), { ...init, headers, signal });
    } catch (error) {
      const cause = error instanceof Error && error.cause ? messageOf(error.cause) : messageOf(error);
      throw new MinerError('E-LINK', `the controller at ${url} does not answer: ${cause}`, { cause: error });
    }
    if (response.ok) return response;
    const words = (await response.text()).slice(0, 500);
    throw new MinerError('E-LINK', `the controller answered ${response.status} to ${path.split('?')[0]}: ${words}`);
  }

  async function ask<N extends RequestName>(name: N, body: RequestBody<N>): Promise<unknown> {
    const response = await call(name, requestTimeoutMs, { method: 'POST', body: encode(body) });
    return (decode(await response.text()) as { answer?: unknown }).answer;
  }

  async function look(): Promise<void> {
    const response = await call(`view?${new URLSearchParams(tags)}`, viewTimeoutMs);
    const text = await response.text();
    answeredAt = pause.now();
    if (response.status === 204) return;
    const view = decode(text) as View;
    if (view.feeds) feeds = view.feeds;
    if (view.observation) observation = view.observation;
    tags = { feeds: view.feedsTag, observation: view.observationTag };
    first.resolve();
    for (const listener of listeners) listener();
  }

  async function follow(): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        await look();
        if (complained) log.info('the controller answers again');
        complained = false;
      } catch (error) {
        if (closing.signal.aborted) return;
        if (!complained) log.warn(messageOf(error));
        complained = true;
        await pause.sleep(retryMs, closing.signal);
      }
    }
  }

  const silentFor = () => pause.now() - answeredAt;

  function observe(): Observation {
    if (silentFor() < staleAfterMs) return observation;
    const since = clock.now();
    const unknown = ({ syncedAt }: MemberHealth): MemberHealth => ({ state: 'unknown', since, syncedAt });
    return { ...observation, health: new Map([...observation.health].map(([name, one]) => [name, unknown(one)])) };
  }

  const warn = (error: unknown) => log.warn(messageOf(error));

  const following = follow();
  await first.promise;
  return {
    link: {
      feeds: () => feeds,
      observe,
      onChange: (listener) => void listeners.push(listener),
      async launch(specs) {
        if (specs.length === 0) return [];
        try {
          return (await ask('launch', { specs: [...specs] as RequestBody<'launch'>['specs'] })) as LaunchOutcome[];
        } catch (error) {
          // Whether a token was given is not known: the row that may exist is closed by the next pass.
          return specs.map(() => ({ granted: false, status: 0, detail: messageOf(error) }));
        }
      },
      async cancel(specs) {
        if (specs.length === 0) return;
        // Best effort: a Secret that stays is found by the controller's sweep.
        await ask('cancel', { specs: [...specs] as RequestBody<'cancel'>['specs'] }).catch(warn);
      },
      async deleteInstance(validator, chuteId, instanceId) {
        await ask('delete-instance', { validator, chuteId, instanceId });
      },
      async releaseJob(validator, jobId) {
        await ask('release-job', { validator, jobId });
      },
      chute: async (validator, chuteId, version) =>
        (await ask('chute', { validator, chuteId, version })) as Chute | undefined,
      refreshFeeds: () => void ask('refresh', {}).catch(warn),
      refreshApplications: (folders, commit) =>
        void ask('refresh-applications', { folders: [...folders], commit }).catch(warn),
      report: ({ configCommit, held, blocked, memory }) =>
        void ask('report', { configCommit, held: [...held], blocked: [...blocked], memory }).catch(warn),
    },
    silentFor,
    async close() {
      closing.abort();
      await following;
    },
  };
}
