// The plain chute that tests of all packages start from: public, one H100, no jobs; a test changes what it is about.

import type { Chute } from './chute.ts';

const plain: Omit<Chute, 'chuteId' | 'validator' | 'name'> = {
  version: 'v1',
  image: 'user/app:1',
  refStr: 'app:chute',
  filename: 'app.py',
  code: undefined,
  chutesVersion: '0.6.0',
  supportedGpus: ['h100_sxm'],
  gpuCount: 1,
  tee: false,
  preemptible: true,
  disabled: false,
  jobOnly: false,
  jobPorts: [],
  effectiveComputeMultiplier: 1,
  bounty: 0,
};

export function plainChute(given: Pick<Chute, 'chuteId' | 'validator' | 'name'> & Partial<Chute>): Chute {
  return { ...plain, ...given };
}
