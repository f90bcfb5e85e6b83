// The planner behind the line protocol: a snapshot per line in, a list of actions per line out, until the input is closed (trace format,
// section 5). The planner itself throws no dice, the seed only names deployments.

import { createStrategy } from './gepetto.ts';
import { startHooked } from './hooks.ts';
import { skipSpace } from './json-text.ts';
import { linesOf } from './lines.ts';
import { createSnapshotReader } from './snapshot-reader.ts';

export interface ServeOptions {
  input: AsyncIterable<Buffer>;
  write(line: string): void;
  seed: number;
  /** Of a strategy.ts, and what messages call it. */
  hooks?: { text: string; name: string } | undefined;
}

/** Ends with the input. Rejects with E-USAGE on a line that is no snapshot, with E-STRATEGY when the hooks fail. */
export async function serve({ input, write, seed, hooks }: ServeOptions): Promise<void> {
  const read = createSnapshotReader();
  const hooked = hooks && (await startHooked(hooks.text, hooks.name, seed));
  const strategy = hooked ?? createStrategy(seed);
  try {
    for await (const line of linesOf(input)) {
      if (skipSpace(line, 0) === line.length) continue;
      write(`${JSON.stringify(await strategy.act(read(line)))}\n`);
    }
  } finally {
    hooked?.close();
  }
}
