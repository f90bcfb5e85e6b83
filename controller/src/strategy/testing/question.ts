// A question with two servers and one chute, for tests.

import type { Question } from '../../domain/advice.ts';
import type { ChuteView, ServerView } from '../../domain/hooks.ts';

export const chute: ChuteView = {
  id: 'chute-1',
  name: 'llama',
  version: 'v1',
  gpuCount: 1,
  supportedGpus: ['a100', 'h100'],
  tee: false,
  preemptible: true,
  multiplier: 3,
  runMultiplier: 2,
  bounty: 100,
  wanted: 4,
  active: 1,
  own: 1,
};

function server(name: string, gpu: string): ServerView {
  return { name, gpu, gpus: 8, freeGpus: 4, hourlyCost: gpu === 'h100' ? 2 : 1, tee: false, leavingAt: null };
}

export const question: Question = {
  now: 1_800_000_000_000,
  servers: [server('a', 'a100'), server('b', 'h100'), server('c', 'h100')],
  offers: [
    {
      key: chute.id,
      chute,
      job: null,
      sites: [
        { gpu: 'a100', servers: [0] },
        { gpu: 'h100', servers: [1, 2] },
      ],
    },
  ],
  deployments: [
    { chute, server: 1, deployment: { id: 'deployment-1', version: 'v1', gpus: 1, age: 3, multiplier: 2.5 } },
  ],
};
