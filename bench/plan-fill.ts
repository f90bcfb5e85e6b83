// plan-fill: an empty fleet and 200 chutes, filled in one pass. Target: 20,000 placements a second at 1,000 servers of 8 GPUs.

import { seededRandom } from '@miner/controller/domain/random.ts';
import * as f from '@miner/controller/gepetto/fixtures.ts';
import { plan } from '@miner/controller/gepetto/plan.ts';
import { emptyMemory } from '@miner/controller/gepetto/world.ts';
import { emptyFleet } from './fleet.ts';
import { machine } from './machine.ts';

const rounds = 5;
const policy = f.policy({ launchesPerPass: 1000 });
// The policy's own limit is far below a whole fleet.
const unlimited = { ...policy, launchesPerPass: 1_000_000, limits: { minutes: 10, launches: null, removals: null } };

for (const servers of [100, 300, 1000, 3000]) {
  const world = emptyFleet(servers);
  const rates: number[] = [];
  let placed = 0;
  for (let round = 0; round < rounds; round++) {
    const random = seededRandom(round);
    const start = process.threadCpuUsage();
    placed = plan(world, unlimited, { now: () => f.now }, random, emptyMemory).deploys.length;
    const { user, system } = process.threadCpuUsage(start);
    rates.push((1e6 * placed) / (user + system));
  }
  const value = Math.round(rates.sort((a, b) => a - b)[rounds >> 1] ?? 0);
  console.log(
    JSON.stringify({ name: `plan-fill/${servers}`, value, unit: 'placements/s', n: placed, machine: machine() }),
  );
}
