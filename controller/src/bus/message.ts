// The form of an event on the channel `miner_events` and in the stream (protocol.md 3.1): `{"event_type", "event_data"}`, where the
// data of a validator's event carry the validator's hotkey.

import { z } from 'zod';
import { type MinerEvent, parseValidatorEvent } from '../domain/event.ts';

const message = z.object({ event_type: z.string().min(1), event_data: z.record(z.string(), z.unknown()) });
const serverDeleted = z.object({ server_id: z.string().min(1) });
const sender = z.object({ validator: z.string().min(1) });

export function writeMessage(event: MinerEvent): string {
  const data = 'validator' in event ? { ...event.data, validator: event.validator } : event.data;
  return JSON.stringify({ event_type: event.type, event_data: data });
}

/** Undefined for a type that is not on the list; throws a ZodError or SyntaxError for what is no event. */
export function readMessage(text: string): MinerEvent | undefined {
  const { event_type: type, event_data: data } = message.parse(JSON.parse(text));
  if (type === 'server_deleted') return { type, data: serverDeleted.parse(data) };
  return parseValidatorEvent({ reason: type, data }, sender.parse(data).validator);
}
