// The planner behind the line protocol: a snapshot per line in, a list of actions per line out, until the input is closed (trace format,
// section 5). `node simulator/src/trace/serve.ts [SEED]`; the planner itself throws no dice, the seed only names deployments.

import { createInterface } from 'node:readline';
import { createStrategy } from './gepetto.ts';
import { createSnapshotReader } from './snapshot-reader.ts';

const strategy = createStrategy(Number(process.argv[2] ?? 1));
const read = createSnapshotReader();

for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
  if (line.trim() === '') continue;
  process.stdout.write(`${JSON.stringify(strategy.act(read(line)))}\n`);
}
