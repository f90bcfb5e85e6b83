// One chute deployment as the text of `chutes/<server>/<deployment id>.yaml`: Service, ConfigMap when the library mounts its code, Job.
// Same inputs, same bytes (R13).

import type { Chute } from '@miner/controller/domain/chute.ts';
import type { MinerConfig } from '@miner/controller/domain/config.ts';
import type { DeploymentSpec } from '@miner/controller/domain/deployment.ts';
import type { Server } from '@miner/controller/domain/server.ts';
import { mountsCode } from '@miner/controller/domain/version.ts';
import { chuteCode } from '../constructs/chute-code.ts';
import { chuteJob } from '../constructs/chute-job.ts';
import { chuteService } from '../constructs/chute-service.ts';
import { toYaml } from '../yaml.ts';

export interface RenderContext {
  config: MinerConfig;
  server: Server;
  chute: Chute;
  /** Why it was decided, in one line, for whoever looks at the objects. */
  explanation?: string;
}

/**
 * YAML documents of a deployment, the Service first, because it must exist before the pod starts (kubernetes.md R5). Throws E-GUARD
 * naming the broken rule; then nothing may be committed.
 */
export function renderChute(spec: DeploymentSpec, context: RenderContext): string {
  const props = { spec, ...context };
  const service = chuteService(props);
  const code = mountsCode(context.chute) ? [chuteCode(context.chute)] : [];
  return toYaml([service, ...code, chuteJob(props)]);
}
