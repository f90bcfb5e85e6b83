// Snapshots from lines of JSON. Consecutive snapshots say mostly the same: a server or chute whose text did not change is not parsed again
// but is the same object as before, so that a line costs in proportion to what changed, here and for whoever tells changes by identity.

import { MinerError, messageOf } from '@miner/controller/domain/errors.ts';
import { byte, endOfValue, parsed, skip, skipSpace } from './json-text.ts';
import type { ChuteView, ServerView, Snapshot } from './protocol.ts';

interface Item<T> {
  text: Buffer;
  value: T;
  /** Place in the list. */
  index: number;
}

interface List<T> {
  /** The same array as before when nothing in the list changed. */
  items: readonly T[];
  /** Place after the list. */
  end: number;
}

type ReadList<T> = (bytes: Buffer, at: number) => List<T>;

/** Reads a list of objects; keeps what the last one held, by name. */
function createListReader<T>(nameOf: (value: T) => unknown): ReadList<T> {
  let known: Item<T>[] = [];
  let byName = new Map<unknown, Item<T>>();
  /** Of the last list: its text, a part of the last line, and what it says. */
  let whole: { text: Buffer; items: readonly T[] } | undefined;

  function isAt({ text }: { text: Buffer }, bytes: Buffer, at: number): boolean {
    const end = at + text.length;
    return end <= bytes.length && bytes.compare(text, 0, text.length, at, end) === 0;
  }

  /** `place`: of what most likely stands here, in the last list. */
  function readItem(bytes: Buffer, at: number, place: number): Item<T> {
    const expected = known[place];
    if (expected && isAt(expected, bytes, at)) return expected;
    const end = endOfValue(bytes, at);
    const value = parsed(bytes, at, end) as T;
    const before = byName.get(nameOf(value));
    if (before?.text.length === end - at && isAt(before, bytes, at)) return before;
    // A copy: a part of the line would keep all of it in memory.
    return { text: Buffer.from(bytes.subarray(at, end)), value, index: before?.index ?? place - 1 };
  }

  return (bytes, from) => {
    if (whole && isAt(whole, bytes, from)) {
      const text = bytes.subarray(from, from + whole.text.length);
      whole = { text, items: whole.items };
      return { items: whole.items, end: from + text.length };
    }
    const next: Item<T>[] = [];
    let at = skip(bytes, from, byte.openList);
    let place = 0;
    while (bytes[at] !== byte.closeList) {
      if (next.length > 0) at = skip(bytes, at, byte.comma);
      const item = readItem(bytes, at, place);
      place = item.index + 1;
      next.push(item);
      at = skipSpace(bytes, at + item.text.length);
    }
    let index = 0;
    for (const item of next) {
      if (item !== known[index]) byName.set(nameOf(item.value), item);
      item.index = index++;
    }
    if (byName.size !== next.length) byName = new Map(next.map((item) => [nameOf(item.value), item]));
    known = next;
    whole = { text: bytes.subarray(from, at + 1), items: next.map(({ value }) => value) };
    return { items: whole.items, end: at + 1 };
  };
}

export type ReadSnapshot = (line: Buffer) => Snapshot;

/** Throws E-USAGE for a line that is no snapshot. */
export function createSnapshotReader(): ReadSnapshot {
  const lists = new Map<unknown, ReadList<unknown>>([
    ['servers', createListReader<ServerView>((view) => view?.name)],
    ['chutes', createListReader<ChuteView>((view) => view?.chute_id)],
  ]);

  function readObject(line: Buffer): unknown {
    const start = skipSpace(line, 0);
    if (line[start] !== byte.open) return parsed(line, start, line.length);
    const fields: [string, unknown][] = [];
    let at = skip(line, start, byte.open);
    while (line[at] !== byte.close) {
      if (fields.length > 0) at = skip(line, at, byte.comma);
      const keyEnd = endOfValue(line, at);
      const key = parsed(line, at, keyEnd);
      at = skip(line, keyEnd, byte.colon);
      const readList = line[at] === byte.openList ? lists.get(key) : undefined;
      if (readList) {
        const { items, end } = readList(line, at);
        fields.push([String(key), items]);
        at = skipSpace(line, end);
      } else {
        const end = endOfValue(line, at);
        fields.push([String(key), parsed(line, at, end)]);
        at = skipSpace(line, end);
      }
    }
    if (skipSpace(line, at + 1) < line.length) throw new SyntaxError(`something follows at byte ${at + 1}`);
    return Object.fromEntries(fields);
  }

  return (line) => {
    let found: unknown;
    try {
      found = readObject(line);
    } catch (error) {
      throw new MinerError('E-USAGE', `A line of the input is not JSON: ${messageOf(error)}`, { cause: error });
    }
    const snapshot = found as Snapshot | null;
    if (snapshot?.format !== 1 || !Array.isArray(snapshot.servers) || !Array.isArray(snapshot.chutes)) {
      throw new MinerError('E-USAGE', 'A line of the input is not a snapshot of format 1.');
    }
    return snapshot;
  };
}
