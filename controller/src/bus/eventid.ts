// Ids of events: UUIDs of version 7, so that events of the same millisecond sort in the order in which they came in.

import { randomBytes } from 'node:crypto';

/** A maker of ids that grow: 48 bits of ms since the epoch, 12 bits of a counter, 62 random bits. */
export function createEventIds(): (now: number) => string {
  let last = 0;
  let counter = 0;
  return (now) => {
    const ms = Math.max(Math.floor(now), last);
    counter = ms === last ? counter + 1 : 0;
    last = ms;
    if (counter === 4096) {
      // More than 4096 in one millisecond borrow from the next one.
      last += 1;
      counter = 0;
    }
    const bytes = randomBytes(16);
    bytes.writeUIntBE(last, 0, 6);
    bytes.writeUInt16BE(0x7000 | counter, 6);
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    const hex = bytes.toString('hex');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  };
}
