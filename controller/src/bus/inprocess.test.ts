import pino from 'pino';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { busContract, eventOf as event, idOf } from './contract.ts';
import { createInProcessBus } from './inprocess.ts';

function setup(maxAttempts?: number) {
  const lines: string[] = [];
  const pauses: number[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => lines.push(line) });
  const clock = {
    now: () => 0,
    async sleep(ms: number) {
      pauses.push(ms);
    },
  };
  const bus = createInProcessBus({ log, retryDelayMs: 100, clock, ...(maxAttempts ? { maxAttempts } : {}) });
  return { bus, lines, pauses };
}

test('a handler that rejects gets the event again after growing pauses, then it is reported and the next one comes', async () => {
  const { bus, lines, pauses } = setup(4);
  const seen: string[] = [];
  const stop = bus.subscribe(async (one) => {
    seen.push(idOf(one));
    if (idOf(one) === 'bad') throw new Error('broken handler');
  });
  await bus.publish(event('bad'));
  await bus.publish(event('good'));
  await stop();
  assert.equal(seen, ['bad', 'bad', 'bad', 'bad', 'good']);
  assert.equal(pauses, [100, 200, 400]);
  assert.is(lines.filter((line) => line.includes('given up')).length, 1);
  assert.match(lines.at(-1) ?? '', 'broken handler');
});

test('stopping waits for what was published and takes nothing after', async () => {
  const { bus } = setup();
  const seen: string[] = [];
  const stop = bus.subscribe(async (one) => {
    await new Promise((resolve) => setTimeout(resolve, 2));
    seen.push(idOf(one));
  });
  for (let n = 0; n < 5; n++) await bus.publish(event(n));
  const stopped = stop();
  await bus.publish(event('late'));
  await stopped;
  assert.equal(seen, ['0', '1', '2', '3', '4']);
});

test('stopping does not sit out a pause', async () => {
  const lines: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => lines.push(line) });
  const bus = createInProcessBus({ log, retryDelayMs: 60_000, maxAttempts: 3 });
  const stop = bus.subscribe(async () => {
    throw new Error('no');
  });
  await bus.publish(event(1));
  await new Promise((resolve) => setTimeout(resolve, 10));
  const started = performance.now();
  await stop();
  assert.ok(performance.now() - started < 30_000);
  assert.is(lines.length, 3);
});

test.run();

busContract(
  'event bus in process',
  async ({ log, maxAttempts }) => ({
    bus: createInProcessBus({ log, maxAttempts, retryDelayMs: 1 }),
    close: async () => undefined,
  }),
  25,
);
