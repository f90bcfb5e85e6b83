// What an EventBus does, whichever way the events go: run by the tests of each.

import fc from 'fast-check';
import pino, { type Logger } from 'pino';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { MinerEvent } from '../domain/event.ts';
import type { EventBus } from '../domain/ports.ts';

export interface OpenBus {
  bus: EventBus;
  close(): Promise<void>;
}

/** A bus of its own, without events; pauses between attempts are short. */
export type Open = (options: { log: Logger; maxAttempts: number }) => Promise<OpenBus>;

const validator = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY';
const maxAttempts = 4;

const ofEachType: MinerEvent[] = [
  { type: 'gpu_verified', validator, data: { gpu_id: 'g', miner_hotkey: 'm' } },
  { type: 'chute_created', validator, data: { chute_id: 'c', version: 'v', job_only: false } },
  { type: 'chute_updated', validator, data: { chute_id: 'c', version: 'v' } },
  { type: 'chute_deleted', validator, data: { chute_id: 'c', version: 'v' } },
  { type: 'bounty_change', validator, data: { chute_id: 'c', bounty: 100 } },
  { type: 'image_created', validator, data: { image_id: 'i' } },
  { type: 'image_deleted', validator, data: { image_id: 'ï "\\ \u2028' } },
  { type: 'image_updated', validator, data: { chute_ids: ['c'], image: 'u/n:t-p', chutes_version: null } },
  { type: 'instance_created', validator, data: { miner_hotkey: 'm', config_id: 'k', instance_id: 'n' } },
  { type: 'instance_verified', validator, data: { miner_hotkey: 'm', instance_id: 'n' } },
  { type: 'instance_activated', validator, data: { config_id: 'k' } },
  { type: 'instance_deleted', validator, data: { instance_id: 'n', config_id: null } },
  { type: 'rolling_update', validator, data: { chute_id: 'c', instance_id: 'n', new_version: 'w' } },
  { type: 'job_created', validator, data: { chute_id: 'c', job_id: 'j', disk_gb: 10, exclude: ['m'] } },
  { type: 'job_deleted', validator, data: { job_id: 'j' } },
  { type: 'server_deleted', data: { server_id: 's' } },
];

export function eventOf(n: number | string): MinerEvent {
  return { type: 'server_deleted', data: { server_id: String(n) } };
}

export function idOf(one: MinerEvent): string {
  return one.type === 'server_deleted' ? one.data.server_id : '';
}

/** Looks every few ms, for at most a minute: other work may keep the machine busy. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
  throw new Error(`timed out: ${what}`);
}

interface Context {
  lines: string[];
  fresh(): Promise<EventBus>;
}

/** `runs`: cases of the property, each on a bus of its own. */
export function busContract(name: string, open: Open, runs: number): void {
  const test = suite<Context>(name);
  const opened: OpenBus[] = [];

  test.before.each((context) => {
    context.lines = [];
    const log = pino({ level: 'warn' }, { write: (line: string) => context.lines.push(line) });
    context.fresh = async () => {
      const one = await open({ log, maxAttempts });
      opened.push(one);
      return one.bus;
    };
  });
  test.after.each(async () => {
    for (const { close } of opened.splice(0)) await close();
  });

  test('an event of each type arrives as it was published', async ({ fresh }) => {
    const bus = await fresh();
    const seen: MinerEvent[] = [];
    const stop = bus.subscribe(async (one) => {
      seen.push(one);
    });
    for (const one of ofEachType) await bus.publish(one);
    await until(() => seen.length === ofEachType.length, 'all');
    assert.equal(seen, ofEachType);
    await stop();
  });

  test('every subscriber gets every event once, in order, one at a time, whatever fails in between', async ({
    fresh,
  }) => {
    const failures = fc.array(fc.nat(maxAttempts - 1), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(failures, failures, async (first, second) => {
        const bus = await fresh();
        const plans = [first, second].map((plan) => [...plan]);
        const seen: string[][] = [[], []];
        const stops = plans.map((plan, who) => {
          let busy = false;
          return bus.subscribe(async (one) => {
            assert.not(busy, 'a second event before the first is done');
            busy = true;
            await Promise.resolve();
            busy = false;
            const n = Number(idOf(one));
            const left = plan[n] ?? 0;
            if (left > 0) {
              plan[n] = left - 1;
              throw new Error('not yet');
            }
            seen[who]?.push(idOf(one));
          });
        });
        const ids = Array.from({ length: 20 }, (_, n) => String(n));
        await Promise.all(ids.map((id) => bus.publish(eventOf(id))));
        await until(() => seen.every((one) => one.length >= ids.length), 'all');
        for (const stop of stops) await stop();
        assert.equal(seen, [ids, ids]);
      }),
      { numRuns: runs },
    );
  });

  test('a handler that never succeeds, or throws at once, is reported and the next event comes', async (context) => {
    const bus = await context.fresh();
    const seen: string[] = [];
    const stop = bus.subscribe((one) => {
      seen.push(idOf(one));
      if (idOf(one) === 'bad') throw new Error('broken handler');
      return idOf(one) === 'worse' ? Promise.reject(new Error('broken too')) : Promise.resolve();
    });
    for (const id of ['bad', 'worse', 'good']) await bus.publish(eventOf(id));
    await until(() => seen.includes('good'), 'the good one');
    await stop();
    assert.equal(seen, [...Array(maxAttempts).fill('bad'), ...Array(maxAttempts).fill('worse'), 'good']);
    assert.is(context.lines.filter((line) => line.includes('event given up')).length, 2);
    assert.match(context.lines.join(''), 'broken handler');
  });

  test('a slow subscriber does not hold up another, nor the publisher', async ({ fresh }) => {
    const bus = await fresh();
    const gate = Promise.withResolvers<void>();
    const fast: string[] = [];
    const stopSlow = bus.subscribe(() => gate.promise);
    const stopFast = bus.subscribe(async (one) => {
      fast.push(idOf(one));
    });
    for (const n of [1, 2, 3]) await bus.publish(eventOf(n));
    await until(() => fast.length === 3, 'the fast one');
    await stopFast();
    gate.resolve();
    await stopSlow();
    assert.equal(fast, ['1', '2', '3']);
  });

  test('stopping waits for the running handler; afterwards none is called', async ({ fresh }) => {
    const bus = await fresh();
    let running = 0;
    let calls = 0;
    const stop = bus.subscribe(async () => {
      calls += 1;
      running += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
      running -= 1;
    });
    for (let n = 0; n < 5; n++) await bus.publish(eventOf(n));
    await until(() => calls > 0, 'the first call');
    await stop();
    assert.is(running, 0);
    const before = calls;
    await bus.publish(eventOf('late'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.is(calls, before);
  });

  test.run();
}
