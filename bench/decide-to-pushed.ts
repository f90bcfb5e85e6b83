// From a decision to its commit on the git host: render, guard of the whole tree, objects, push over smart HTTP. Once one at a time, once
// with 100 callers that each wait for their decision; those waiting go out together, as in a pass of the planner.
// Usage: decide-to-pushed.ts [servers …]; five deployments each.

import { deploy } from '@miner/controller/clusterrepo/testing/fixture.ts';
import { specAt } from '@miner/controller/clusterrepo/testing/testrepo.ts';
import type { Decision } from '@miner/controller/domain/decision.ts';
import { type Fleet, makeFleet, print, quantile, sizesAsked } from './gitfleet.ts';

const alone = 100;
const callers = 100;
const decisionsEach = 8;
const warmUp = 5;
const freeFrom = 5;

async function oneByOne(fleet: Fleet, next: () => Decision): Promise<number[]> {
  const latencies: number[] = [];
  for (let i = 0; i < warmUp + alone; i++) {
    const at = performance.now();
    await fleet.commit([next()]);
    if (i >= warmUp) latencies.push(performance.now() - at);
  }
  return latencies;
}

async function concurrently(fleet: Fleet, next: () => Decision): Promise<number[]> {
  const latencies: number[] = [];
  let waiting: { decision: Decision; done: () => void }[] = [];
  let left = callers;
  async function call(): Promise<void> {
    for (let i = 0; i < decisionsEach; i++) {
      const at = performance.now();
      await new Promise<void>((done) => waiting.push({ decision: next(), done }));
      latencies.push(performance.now() - at);
      // Callers do not march in step.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 50));
    }
    left -= 1;
  }
  const calls = Array.from({ length: callers }, call);
  while (left > 0) {
    const batch = waiting;
    waiting = [];
    if (batch.length > 0) await fleet.commit(batch.map(({ decision }) => decision));
    for (const { done } of batch) done();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(calls);
  return latencies;
}

for (const servers of sizesAsked([1_000])) {
  const fleet = await makeFleet(servers);
  let made = 0;
  const next = () => {
    const n = made++;
    return deploy(specAt(1 + (n % servers), freeFrom + (Math.floor(n / servers) % 3)));
  };
  const single = await oneByOne(fleet, next);
  const many = await concurrently(fleet, next);
  const scale = `${servers}-servers`;
  for (const [label, values] of [
    ['alone', single],
    ['100-concurrent', many],
  ] as const) {
    for (const q of [0.5, 0.99]) {
      print(`decide-to-pushed/${scale}/${label}/p${q * 100}`, quantile(values, q), 'ms', values.length);
    }
  }
  await fleet.close();
}
