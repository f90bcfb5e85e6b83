// `instance-logs`: log text on stdout as it comes; the cursor to go on from on stderr (protocol.md 6.2).

import { z } from 'zod';
import { type CommandModule, type Context, number, text } from '../command.ts';
import { usageError } from '../errors.ts';
import { createRemote, unreachable } from '../http.ts';
import { eventsOf } from '../stream.ts';

/** The validator ends a stream after 300 s. */
const streamTimeoutMs = 330_000;

const logEvent = z.object({ log: z.string(), cursor: z.string().nullish() });

function cursor(value: string): string {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?$/.test(value) || Number.isNaN(Date.parse(value))) {
    throw new Error('allowed: an ISO time with seconds, for example 2026-01-31T12:00:00');
  }
  return value;
}

/** Text of one event; `.` alone keeps the connection alive. */
function readEvent(data: string): { log: string; cursor: string | undefined } | undefined {
  if (data === '.') return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(data);
  } catch {
    return { log: data, cursor: undefined };
  }
  const event = logEvent.safeParse(parsed);
  if (!event.success) return { log: data, cursor: undefined };
  return event.data.log === '.' ? undefined : { log: event.data.log, cursor: event.data.cursor ?? undefined };
}

async function run(context: Context): Promise<undefined> {
  const { values, io, out } = context;
  const jwt = text(values, 'jwt');
  if (!jwt) throw usageError('--jwt is missing', 'the launch token of the instance; or set CHUTES_LAUNCH_JWT');
  const from = text(values, 'cursor');
  const validator = createRemote({ kind: 'validator', url: text(values, 'validatorApi') ?? '', signal: io.signal });
  let last = from;
  function resumeHint(): string {
    return last === undefined ? 'run the same command again' : `go on with --cursor ${last}`;
  }
  context.onInterrupt('run it again with --cursor to go on where it stopped');
  const query = from === undefined ? '' : `?cursor=${encodeURIComponent(from)}`;
  const response = await validator.send('GET', `/miner/instance_logs${query}`, {
    headers: { Authorization: jwt },
    timeoutMs: (number(values, 'timeout') ?? streamTimeoutMs / 1000) * 1000,
  });
  try {
    for await (const data of eventsOf(response)) {
      const event = readEvent(data);
      if (!event) continue;
      last = event.cursor ?? last;
      context.onInterrupt(resumeHint());
      io.stdout.write(event.log.endsWith('\n') ? event.log : `${event.log}\n`);
    }
  } catch (error) {
    throw unreachable('validator', validator.url, error, resumeHint());
  }
  out.note(`the log stream ended; ${resumeHint()}`);
}

export const command: CommandModule = {
  options: [
    { flags: '-j, --jwt <token>', description: 'launch token of the instance', env: 'CHUTES_LAUNCH_JWT' },
    { flags: '-c, --cursor <time>', description: 'go on from this time (ISO, with seconds)', parse: cursor },
  ],
  examples: [
    'instance-logs                     # the token in CHUTES_LAUNCH_JWT, out of the process list',
    'instance-logs --cursor 2026-01-31T12:00:00',
  ],
  run,
};
