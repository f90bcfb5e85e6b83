// A process that writes to a store in a folder until it is killed, and prints each deployment id once its row is acknowledged.
// Usage: writer.ts FOLDER FIRST-NUMBER

import { writeSync } from 'node:fs';
import { openStore } from '../open.ts';
import { epoch, makeLifecycle, makeServer, makeStored } from './fixtures.ts';

const [dir = '', first = '0'] = process.argv.slice(2);
const store = await openStore({ dir });
if ((await store.servers()).length === 0) await store.addServer(makeServer(1));
for (let n = Number(first); ; n++) {
  const row = makeLifecycle(n);
  await store.addLifecycle([row]);
  await store.saveDecisions([makeStored(n)]);
  await store.mark('committedAt', [row.deploymentId], epoch);
  writeSync(1, `${row.deploymentId}\n`);
}
