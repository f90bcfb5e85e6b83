// plan-tick: a full fleet in which ten things happened since the last pass. Target: p99 below 20 ms at 1,000 servers of 8 GPUs.

import type { Chute } from '@miner/controller/domain/chute.ts';
import { seededRandom } from '@miner/controller/domain/random.ts';
import * as f from '@miner/controller/gepetto/fixtures.ts';
import { plan } from '@miner/controller/gepetto/plan.ts';
import { emptyMemory, type Memory, type World } from '@miner/controller/gepetto/world.ts';
import { emptyFleet } from './fleet.ts';
import { machine } from './machine.ts';

const ticks = 200;
const eventsPerTick = 10;
const unlimited = {
  ...f.policy(),
  launchesPerPass: 1_000_000,
  limits: { minutes: 10, launches: null, removals: null },
};

function fullFleet(servers: number): World {
  const world = emptyFleet(servers);
  const { deploys } = plan(world, unlimited, { now: () => f.now }, seededRandom(1), emptyMemory);
  const running = deploys.map(({ spec }) => spec);
  const rows = running.map((spec) => f.row(spec));
  const utilization = [...(world.feeds.get(f.validator)?.utilization.items.values() ?? [])].map((one) => {
    const own = running.filter(({ chuteId }) => chuteId === one.chuteId).length;
    return { ...one, activeInstanceCount: own };
  });
  return f.world({ chutes: [...world.chutes.values()], servers: world.servers, running, rows, utilization });
}

/** Half of the events change what a chute pays, half end an instance. */
function happen(world: World, random: () => number): World {
  const chutes = new Map(world.chutes);
  const lifecycles = new Map(world.lifecycles);
  const ids = [...chutes.keys()];
  const rows = [...lifecycles.keys()];
  for (let i = 0; i < eventsPerTick; i++) {
    if (i % 2 === 0) {
      const chute = chutes.get(ids[Math.floor(random() * ids.length)] ?? '') as Chute;
      const effectiveComputeMultiplier = chute.gpuCount * (0.1 + random());
      chutes.set(chute.chuteId, { ...chute, effectiveComputeMultiplier });
    } else {
      const row = lifecycles.get(rows[Math.floor(random() * rows.length)] ?? '');
      if (row) lifecycles.set(row.deploymentId, { ...row, instanceGoneAt: f.now });
    }
  }
  return { ...world, chutes, lifecycles };
}

for (const servers of [100, 300, 1000, 3000]) {
  const world = fullFleet(servers);
  const random = seededRandom(2);
  let memory: Memory = emptyMemory;
  const times: number[] = [];
  for (let tick = 0; tick < ticks + 20; tick++) {
    const seen = happen(world, random);
    const start = process.threadCpuUsage();
    memory = plan(seen, unlimited, { now: () => f.now + tick * 1000 }, random, memory).memory;
    const { user, system } = process.threadCpuUsage(start);
    if (tick >= 20) times.push((user + system) / 1000);
  }
  times.sort((a, b) => a - b);
  for (const [share, name] of [
    [0.5, 'p50'],
    [0.99, 'p99'],
  ] as const) {
    const value = Math.round(100 * (times[Math.floor(share * times.length)] ?? 0)) / 100;
    console.log(
      JSON.stringify({ name: `plan-tick/${servers}/${name}`, value, unit: 'ms', n: ticks, machine: machine() }),
    );
  }
}
