// Runs in the pod of the GPU verification in place of the image with CUDA: the server is the real one, proofs take no time.

import { startBootstrapPod } from '@miner/simulator/cluster/bootstrap.ts';
import { refc1Backend } from '@miner/simulator/refc1-backend.ts';
import { readGpus } from './gpus.ts';

const { devices, proofSizes: sizes } = readGpus();
const { MINER_HOTKEY_SS58 = '', VALIDATOR_WHITELIST = '' } = process.env;
const backend = refc1Backend(devices, { sizes });
await startBootstrapPod({ host: '0.0.0.0', port: 8000, backend, env: { MINER_HOTKEY_SS58, VALIDATOR_WHITELIST } });
process.once('SIGTERM', () => process.exit(0));
