// Keeps the last good view of a validator's feeds. Each feed stands alone: one that fails, stays silent or comes back empty keeps its
// view and its time, and an item that cannot be read never makes the item look deleted (protocol.md 6.1, trap 9).

import { MinerError, messageOf } from '../domain/errors.ts';
import type { Feed, Feeds } from '../domain/ports.ts';
import { systemRandom } from '../domain/random.ts';
import type { ValidatorClientOptions } from './calls.ts';
import { type FeedName, type FeedSource, feedSources } from './feed-items.ts';
import { createRequester, defaultTimeouts, refusal } from './http.ts';
import { parseJson } from './json.ts';
import { readItems } from './sse.ts';

export interface FeedStatus {
  /** Items of the last answer that could not be read. */
  badItems: number;
  /** The view holds items from before the last answer, or misses one that could not be read. */
  partial: boolean;
  /** Why the last round brought nothing; undefined if it did. `unsupported`: the validator does not have this feed. */
  problem: string | undefined;
  /** Since when it brings nothing, ms. */
  since: number | undefined;
}

export interface FeedKeeper {
  feeds(): Feeds;
  status(): ReadonlyMap<FeedName, FeedStatus>;
  /** Fetch all feeds once. Never rejects; a call during a round waits for that round. */
  refresh(): Promise<void>;
  /** Called after each round that brought an answer. Returns the way to stop. */
  onChange(listener: () => void): () => void;
}

export interface FeedsOptions extends ValidatorClientOptions {
  /** Ends a round that is under way, for shutting down. */
  signal?: AbortSignal;
}

interface Round<T> {
  items: Map<string, T>;
  /** Ids of items that are listed but could not be read. */
  badIds: Set<string>;
  /** Items without a readable id. */
  nameless: number;
  explicitlyEmpty: boolean;
}

const readAttempts = 3;
const emptyFeed = { fetchedAt: undefined, items: new Map<never, never>() };

function nameOf(item: unknown, key: string): string | undefined {
  const value = item !== null && typeof item === 'object' ? (item as Record<string, unknown>)[key] : undefined;
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function addItem<T>(round: Round<T>, source: FeedSource<T>, item: unknown, validator: string): void {
  const name = nameOf(item, source.key);
  if (name === undefined) {
    round.nameless++;
    return;
  }
  try {
    round.items.set(name, source.read(item, validator));
    round.badIds.delete(name);
  } catch {
    if (!round.items.has(name)) round.badIds.add(name);
  }
}

function addText<T>(round: Round<T>, source: FeedSource<T>, text: string, validator: string): void {
  if (text === '') return;
  if (text === 'NO_ITEMS') {
    round.explicitlyEmpty = true;
    return;
  }
  let item: unknown;
  try {
    // No feed is read for its seeds, so the fast parser is good enough.
    item = JSON.parse(text);
  } catch {
    round.nameless++;
    return;
  }
  addItem(round, source, item, validator);
}

interface Merged<T> {
  feed: Feed<T>;
  partial: boolean;
}

/** The new view: what was read, and the earlier version of what could not be. Undefined if the round is no answer. */
function merge<T>(old: Feed<T>, round: Round<T>, source: FeedSource<T>, now: number): Merged<T> | undefined {
  const listed = round.items.size + round.badIds.size + round.nameless;
  if (listed === 0 && !round.explicitlyEmpty) return undefined;
  const items = new Map(round.items);
  let unresolved = round.nameless > 0;
  for (const name of round.badIds) {
    const earlier = old.items.get(name);
    if (earlier === undefined) unresolved = true;
    else items.set(name, earlier);
  }
  // Any of the absent ones may be the item whose name could not be read.
  if (round.nameless > 0) for (const [name, item] of old.items) if (!items.has(name)) items.set(name, item);
  const complete = !(unresolved && source.absenceMatters);
  return {
    feed: { fetchedAt: complete ? now : old.fetchedAt, items },
    partial: round.nameless + round.badIds.size > 0,
  };
}

/** Feeds of one validator; nothing is fetched before the first `refresh`. */
export function createFeeds(options: FeedsOptions): FeedKeeper {
  const { config, signer, clock, log, signal, random = systemRandom } = options;
  const timeouts = { ...defaultTimeouts, ...options.timeouts };
  const requester = createRequester({ config, signer, clock, random, timeouts, log, signal });
  const listeners = new Set<() => void>();
  const status = new Map<FeedName, FeedStatus>();
  let current: Feeds = {
    chutes: emptyFeed,
    instances: emptyFeed,
    globalInstances: emptyFeed,
    utilization: emptyFeed,
    rollingUpdates: emptyFeed,
    nodes: emptyFeed,
    cooldowns: emptyFeed,
  };
  let running: Promise<void> | undefined;

  async function fetchRound<T>(source: FeedSource<T>): Promise<Round<T> | undefined> {
    const { path, purpose, kind } = source;
    const round: Round<T> = { items: new Map(), badIds: new Set(), nameless: 0, explicitlyEmpty: false };
    const call = {
      method: 'GET' as const,
      path,
      attempts: readAttempts,
      timeoutMs: timeouts.feedMs,
      ...(purpose === undefined ? {} : { purpose }),
    };
    const response = await requester.open(call);
    if (!response.ok || !response.body) {
      const answer = { status: response.status, text: await response.text() };
      if (answer.status === 404) return undefined;
      throw refusal(config, call, answer);
    }
    if (kind === 'stream') {
      await readItems(response.body, (text) => addText(round, source, text, config.hotkey));
      return round;
    }
    const list = parseJson(await response.text());
    if (!Array.isArray(list)) throw new MinerError('E-VALIDATOR', `${path} is not a list`);
    for (const item of list) addItem(round, source, item, config.hotkey);
    round.explicitlyEmpty = list.length === 0 && source.emptyIsAnswer;
    return round;
  }

  function fail(name: FeedName, problem: string): void {
    const known = status.get(name);
    const since = known?.problem === undefined ? clock.now() : known.since;
    status.set(name, { badItems: 0, partial: known?.partial ?? false, problem, since });
  }

  /** True if the feed has an answer of this round. */
  async function refreshOne<N extends FeedName>(name: N): Promise<boolean> {
    type Item = Feeds[N]['items'] extends ReadonlyMap<string, infer T> ? T : never;
    const source = feedSources[name] as FeedSource<unknown> as FeedSource<Item>;
    try {
      const round = await fetchRound(source);
      const merged = round && merge(current[name] as Feed<Item>, round, source, clock.now());
      if (!round || !merged) {
        fail(name, round ? 'empty' : 'unsupported');
        return false;
      }
      const badItems = round.badIds.size + round.nameless;
      if (badItems > 0)
        log.warn({ feed: name, badItems, ids: [...round.badIds].slice(0, 10) }, 'feed items cannot be read');
      current = { ...current, [name]: merged.feed };
      status.set(name, { badItems, partial: merged.partial, problem: undefined, since: undefined });
      return true;
    } catch (error) {
      log.warn({ feed: name, reason: messageOf(error) }, 'feed failed, its last view is kept');
      fail(name, messageOf(error));
      return false;
    }
  }

  async function round(): Promise<void> {
    const names = Object.keys(feedSources) as FeedName[];
    const answered = await Promise.all(names.map((name) => refreshOne(name)));
    if (answered.some(Boolean)) for (const listener of listeners) listener();
  }

  return {
    feeds: () => current,
    status: () => status,
    refresh() {
      running ??= round().finally(() => {
        running = undefined;
      });
      return running;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
