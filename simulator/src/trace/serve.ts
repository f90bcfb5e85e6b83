// The planner behind the line protocol: a snapshot per line in, a list of actions per line out, until the input is closed (trace format,
// section 5). `node simulator/src/trace/serve.ts [SEED]`; the planner itself throws no dice, the seed only names deployments.

import { createStrategy } from './gepetto.ts';
import { skipSpace } from './json-text.ts';
import { linesOf } from './lines.ts';
import { createSnapshotReader } from './snapshot-reader.ts';

const strategy = createStrategy(Number(process.argv[2] ?? 1));
const read = createSnapshotReader();

for await (const line of linesOf(process.stdin)) {
  if (skipSpace(line, 0) === line.length) continue;
  process.stdout.write(`${JSON.stringify(strategy.act(read(line)))}\n`);
}
