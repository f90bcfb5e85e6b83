// Changes per second that reach the git host when they come in batches of 1,000: one deployment made or removed is one change.
// Usage: git-throughput.ts [servers …]; five deployments each before it starts.

import { deploy, remove } from '@miner/controller/clusterrepo/testing/fixture.ts';
import { specAt } from '@miner/controller/clusterrepo/testing/testrepo.ts';
import { makeFleet, print, sizesAsked } from './gitfleet.ts';

const batch = 1_000;
const rounds = 4;
const freeSlots = [5, 6, 7];

for (const servers of sizesAsked([1_000])) {
  const fleet = await makeFleet(servers);
  const free = Array.from({ length: servers * freeSlots.length }, (_, i) =>
    specAt(1 + (i % servers), freeSlots[Math.floor(i / servers)] ?? 0),
  );
  const specs = free.slice(0, batch);
  // The first round warms up; each later one makes what the one before it removed, or the other way round.
  let startedAt = 0;
  for (let round = 0; round <= rounds; round++) {
    if (round === 1) startedAt = performance.now();
    await fleet.commit(specs.map((spec) => (round % 2 === 0 ? deploy(spec) : remove(spec))));
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const changes = rounds * specs.length;
  print(`git-throughput/${servers}-servers`, changes / seconds, 'changes/s', changes);
  await fleet.close();
}
