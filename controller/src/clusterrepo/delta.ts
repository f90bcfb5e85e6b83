// A git delta: how an object in a pack is made from another one.

import { MinerError } from '../domain/errors.ts';

function damaged(): MinerError {
  return new MinerError('E-GIT-REPOSITORY', 'a pack holds a delta that does not fit its base');
}

/** Number of 7-bit groups, the lowest first; a set high bit says that another follows. */
export function readVarint(bytes: Buffer, from: number): { value: number; next: number } {
  let value = 0;
  let scale = 1;
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes.readUInt8(at);
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return { value, next: at + 1 };
    scale *= 128;
  }
  throw damaged();
}

/** Offset and length of a copy: the low seven bits say which of their bytes follow. */
function readCopy(delta: Buffer, from: number, flags: number): { offset: number; length: number; next: number } {
  const bytes = [0, 0, 0, 0, 0, 0, 0];
  let next = from;
  for (let bit = 0; bit < 7; bit++) {
    if ((flags & (1 << bit)) === 0) continue;
    if (next >= delta.length) throw damaged();
    bytes[bit] = delta.readUInt8(next++);
  }
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0] = bytes;
  const length = e + f * 0x100 + g * 0x10000;
  return { offset: a + b * 0x100 + c * 0x10000 + d * 0x1000000, length: length === 0 ? 0x10000 : length, next };
}

/** The object that `delta` makes of `base`; throws E-GIT-REPOSITORY when they do not belong together. */
export function applyDelta(base: Buffer, delta: Buffer): Buffer {
  const source = readVarint(delta, 0);
  const target = readVarint(delta, source.next);
  if (source.value !== base.length) throw damaged();
  const result = Buffer.allocUnsafe(target.value);
  let end = 0;
  for (let at = target.next; at < delta.length; ) {
    const flags = delta.readUInt8(at++);
    if (flags & 0x80) {
      const { offset, length, next } = readCopy(delta, at, flags);
      if (offset + length > base.length) throw damaged();
      end += base.copy(result, end, offset, offset + length);
      at = next;
    } else {
      if (flags === 0 || at + flags > delta.length) throw damaged();
      end += delta.copy(result, end, at, at + flags);
      at += flags;
    }
  }
  if (end !== target.value) throw damaged();
  return result;
}
