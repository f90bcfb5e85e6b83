// The recorded values of graval.md 6.5, and what tests share.

import type { DeviceInfo, OgvChallenge, OgvParams } from '../backend.ts';

export const h100: DeviceInfo = {
  uuid: '00112233445566778899aabbccddeeff',
  name: 'NVIDIA H100 80GB HBM3',
  memory: 85_029_158_912,
  processors: 132,
  clock_rate: 1_980_000,
  max_threads_per_processor: 2048,
};

export const nonce = Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString('hex');
export const pkM = Buffer.from(Array.from({ length: 32 }, (_, i) => 0x80 + i));

export function params(n: number, m: number, N: number, R: number, W: number, K: number, G: number): OgvParams {
  return { n, m, N, R, W, K, G };
}

export function challengeOf(sizes: OgvParams, seed = 42n): OgvChallenge {
  return { seed, nonce, device: h100.uuid, params: sizes };
}

export const golden = [
  {
    sizes: params(64, 128, 16, 1, 64, 8, 4),
    rootFill: '9c30d0a131691f7029c961553d10120d25309c94a00f73956b56418220a7790c',
    rootWalk: '99507960e7d150d5871b1ceadce16128cef829bd1625cbcb0127c31489ebd320',
    commit: '6dc12f7bf368974b265ec199bf6636635b787037452d4cf69b32902a29a61d41',
  },
  {
    sizes: params(64, 128, 16, 2, 64, 8, 4),
    rootFill: '4d232d834b0cd7b454eacf81f6314ff79fa37b642283d70675b6b43c75015569',
    commit: 'f782b9a8b1078571eb9bea5d292a65607ce939d94d4a141e66485d454d8868e8',
  },
  {
    sizes: params(256, 1024, 32, 1, 256, 16, 8),
    rootFill: 'bdf4adea996010362087fd2362c9fe821aeef65f2d3bea1cea8d09615fe46503',
    commit: 'e732f4885ff9ddb6823edd9898276c2e09062679cb0bbe3dca304667db5e5699',
  },
];
