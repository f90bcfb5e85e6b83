// The commands of the event stream: adding once by id, reading as one consumer of a group, acknowledging. Knows the form of its
// entries, not what is done with them.

import type { Redis } from 'ioredis';
import { z } from 'zod';
import { messageOf } from '../domain/errors.ts';
import type { JournalEntry } from '../domain/ports.ts';
import { readMessage, writeMessage } from './message.ts';

export const channel = 'miner_events';
export const streamKey = 'miner_events:stream';

export interface Outgoing {
  entry: JournalEntry;
  /** When the journal had it, ms; undefined when it did not take it in time. */
  journaledAt: number | undefined;
}

export interface Incoming {
  streamId: string;
  /** Undefined for what can be read by nobody: trimmed, of an unknown type or no event. */
  entry: JournalEntry | undefined;
  journaledAt: number | undefined;
  problem: string | undefined;
}

/** How long an id is remembered in Redis, s: an answer that was lost is asked for again much sooner. */
const rememberSeconds = 3600;

const addOnce = `
for i = 2, #KEYS do
  local at = 4 + (i - 2) * 4
  if redis.call('SET', KEYS[i], '1', 'NX', 'EX', ARGV[3]) then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*',
      'id', ARGV[at], 'at', ARGV[at + 1], 'journaled', ARGV[at + 2], 'message', ARGV[at + 3])
    redis.call('PUBLISH', ARGV[1], ARGV[at + 3])
  end
end`;

/** Append to the stream and tell the channel, each id once however often it is tried. */
export async function addToStream(redis: Redis, items: readonly Outgoing[], maxLength: number): Promise<void> {
  const keys = [streamKey, ...items.map(({ entry }) => `${streamKey}:id:${entry.id}`)];
  const args = items.flatMap(({ entry, journaledAt }) => [
    entry.id,
    entry.receivedAt,
    journaledAt ?? '',
    writeMessage(entry.event),
  ]);
  await redis.eval(addOnce, keys.length, ...keys, channel, maxLength, rememberSeconds, ...args);
}

/** From the start of the stream, so that what came before the first consumer is not lost. */
export async function ensureGroup(redis: Redis, group: string): Promise<void> {
  try {
    await redis.xgroup('CREATE', streamKey, group, '0', 'MKSTREAM');
  } catch (error) {
    if (!messageOf(error).startsWith('BUSYGROUP')) throw error;
  }
}

const rawEntries = z.array(z.tuple([z.string(), z.array(z.string()).nullable()]));
const readReply = z.array(z.tuple([z.string(), rawEntries])).nullable();
const claimReply = z.tuple([z.string(), rawEntries]).rest(z.unknown());
const fields = z.object({
  id: z.uuid(),
  at: z.coerce.number(),
  journaled: z.coerce.number(),
  message: z.string(),
});

function incoming([streamId, raw]: [string, string[] | null]): Incoming {
  const unreadable = { streamId, entry: undefined, journaledAt: undefined };
  if (!raw) return { ...unreadable, problem: 'trimmed from the stream' };
  try {
    const pairs = raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1]]] : []));
    const { id, at, journaled, message } = fields.parse(Object.fromEntries(pairs));
    const event = readMessage(message);
    if (!event) return { ...unreadable, problem: 'of an unknown type' };
    const entry = { id, receivedAt: at, event };
    return { streamId, entry, journaledAt: journaled === 0 ? undefined : journaled, problem: undefined };
  } catch (error) {
    return { ...unreadable, problem: messageOf(error).slice(0, 500) };
  }
}

export interface Consumer {
  group: string;
  name: string;
}

/** New entries, waiting for the first up to `blockMs` (real time). Rejects with NOGROUP when Redis lost the group. */
export async function readNew(redis: Redis, { group, name }: Consumer, count: number, blockMs: number) {
  const reply = await redis.xreadgroup(
    'GROUP',
    group,
    name,
    'COUNT',
    count,
    'BLOCK',
    blockMs,
    'STREAMS',
    streamKey,
    '>',
  );
  return (readReply.parse(reply) ?? []).flatMap(([, entries]) => entries.map(incoming));
}

/** Entries that this consumer got before and did not acknowledge, after the given stream id. */
export async function readOwn(redis: Redis, { group, name }: Consumer, count: number, after: string) {
  const reply = await redis.xreadgroup('GROUP', group, name, 'COUNT', count, 'STREAMS', streamKey, after);
  return (readReply.parse(reply) ?? []).flatMap(([, entries]) => entries.map(incoming));
}

/** Take over what other consumers got and left for `idleMs` (real time). `next` is where to go on, `0-0` at the end. */
export async function claimStale(redis: Redis, { group, name }: Consumer, idleMs: number, count: number, from: string) {
  const reply = await redis.xautoclaim(streamKey, group, name, idleMs, from, 'COUNT', count);
  const [next, entries] = claimReply.parse(reply);
  return { next, entries: entries.map(incoming) };
}

export async function acknowledge(redis: Redis, group: string, streamIds: readonly string[]): Promise<void> {
  await redis.xack(streamKey, group, ...streamIds);
}
