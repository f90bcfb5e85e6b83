// Runs in the pod of the GPU verification in place of the real one: the protocol is the real one, proofs take no time.

import { createServer } from 'node:http';
import { systemClock } from '@miner/controller/domain/clock.ts';
import { bootstrapHandler } from '@miner/simulator/cluster/bootstrap.ts';
import { gpuShortRef, readGpus } from './gpus.ts';

const { MINER_HOTKEY_SS58: minerHotkey = '', VALIDATOR_WHITELIST: validators = '' } = process.env;
const handler = bootstrapHandler({
  ...readGpus(),
  gpuShortRef,
  minerHotkey,
  validators: validators.split(','),
  clock: { now: systemClock.now, sleep: async () => undefined },
  signal: new AbortController().signal,
});
createServer(handler).listen(8000, () => console.log(`verification is up, for ${minerHotkey}`));
process.once('SIGTERM', () => process.exit(0));
