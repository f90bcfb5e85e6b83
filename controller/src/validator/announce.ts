// Instances of chutes whose library is older than launch tokens: the miner announces and activates them itself (protocol.md 6.4). Newer
// validators have removed both routes and answer 404, which rejects with E-VALIDATOR like any other refusal.

import { z } from 'zod';
import { type Calls, idempotentAttempts } from './calls.ts';
import type { Call } from './http.ts';

export interface Announcements {
  /** `gpuIds`: 32 hex digits each; `host` and `port` are where the validator reaches the chute. Resolves to the instance id. */
  announceInstance(chuteId: string, gpuIds: readonly string[], host: string, port: number): Promise<string>;
  /** Resolves to whether the validator holds the instance for verified. */
  activateInstance(chuteId: string, instanceId: string): Promise<boolean>;
}

const announced = z.object({ instance_id: z.string().min(1) });
const activated = z.object({ verified: z.boolean().nullish() });

export function announcements({ expect, read }: Calls): Announcements {
  return {
    async announceInstance(chuteId, gpuIds, host, port) {
      const path = `/instances/${encodeURIComponent(chuteId)}/`;
      const call: Call = { method: 'POST', path, body: { node_ids: gpuIds, host, port } };
      return read(call, announced, await expect(call)).instance_id;
    },
    async activateInstance(chuteId, instanceId) {
      const path = `/instances/${encodeURIComponent(chuteId)}/${encodeURIComponent(instanceId)}`;
      const call: Call = { method: 'PATCH', path, body: { active: true }, attempts: idempotentAttempts };
      return read(call, activated, await expect(call)).verified ?? false;
    },
  };
}
