// The fleet of the planner's figures: `servers` of 8 GPUs in six models and 200 chutes that want all of them, made from a seed.

import type { Chute } from '@miner/controller/domain/chute.ts';
import type { Utilization } from '@miner/controller/domain/ports.ts';
import { seededRandom } from '@miner/controller/domain/random.ts';
import * as f from '@miner/controller/gepetto/fixtures.ts';
import type { World } from '@miner/controller/gepetto/world.ts';

const models = ['h200', 'h100_sxm', 'a100', 'l40s', 'a6000', '4090'];
const sizes = [1, 1, 1, 2, 2, 4, 4, 8];
const chuteCount = 200;
const gpusPerServer = 8;

export function emptyFleet(serverCount: number): World {
  const random = seededRandom(serverCount);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const chutes: Chute[] = [];
  const utilization: Utilization[] = [];
  for (let i = 0; i < chuteCount; i++) {
    const first = Math.floor(random() * models.length);
    const gpuCount = pick(sizes);
    const chute = f.chute(`chute ${i}`, {
      gpuCount,
      supportedGpus: models.slice(first, first + 1 + Math.floor(random() * 4)),
      effectiveComputeMultiplier: gpuCount * (0.1 + random()),
    });
    chutes.push(chute);
    const targetCount = Math.ceil((2 * serverCount * gpusPerServer) / chuteCount / gpuCount);
    utilization.push(f.utilization(chute, { targetCount, activeInstanceCount: 0 }));
  }
  const servers = Array.from({ length: serverCount }, (_, i) =>
    f.server(`gpu-${i}`, { model: pick(models), count: gpusPerServer, hourlyCost: 0.5 + Math.floor(random() * 4) / 2 }),
  );
  return f.world({ chutes, servers, utilization });
}
