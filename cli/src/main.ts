// The process around one call: streams, environment, Ctrl-C, exit code.

import process from 'node:process';
import { run } from './run.ts';

const interrupt = new AbortController();
process.once('SIGINT', () => {
  interrupt.abort();
  // A second one ends it at once.
  process.once('SIGINT', () => process.exit(130));
});
let outlivesReader = false;
// `chutes-miner … | head` is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (!['EPIPE', 'ERR_STREAM_DESTROYED'].includes(error.code ?? '')) throw error;
  if (!outlivesReader) process.exit(0);
});

process.exitCode = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: interrupt.signal,
  now: Date.now,
  outliveReader() {
    outlivesReader = true;
  },
});
// Idle connections would keep the process for seconds; what was written is flushed first.
process.stdout.write('', () => process.exit());
