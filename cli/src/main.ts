// The process around one call: streams, environment, Ctrl-C, exit code.

import process from 'node:process';
import { run } from './run.ts';

const interrupt = new AbortController();
process.once('SIGINT', () => {
  interrupt.abort();
  // A second one ends it at once.
  process.once('SIGINT', () => process.exit(130));
});
// `chutes-miner … | head` is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: interrupt.signal,
  now: Date.now,
});
// Idle connections would keep the process for seconds; what was written is flushed first.
process.stdout.write('', () => process.exit());
