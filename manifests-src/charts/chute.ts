// One chute deployment as the text of `chutes/<server>/<deployment id>.yaml`: Service, ConfigMap when the library mounts its code, Job.
// Same inputs, same bytes (R13).

import type { Chute } from '@miner/controller/domain/chute.ts';
import type { MinerConfig } from '@miner/controller/domain/config.ts';
import type { DeploymentSpec } from '@miner/controller/domain/deployment.ts';
import type { Server } from '@miner/controller/domain/server.ts';
import { mountsCode } from '@miner/controller/domain/version.ts';
import { App, Chart } from 'cdk8s';
import { ChuteCode } from '../constructs/chute-code.ts';
import { ChuteJob } from '../constructs/chute-job.ts';
import { ChuteService } from '../constructs/chute-service.ts';
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
  const app = new App();
  const chart = new Chart(app, 'chute', { disableResourceNameHashes: true });
  const props = { spec, ...context };
  new ChuteService(chart, 'service', props);
  if (mountsCode(context.chute)) new ChuteCode(chart, 'code', props);
  new ChuteJob(chart, 'job', props);
  return toYaml(chart.toJson());
}
