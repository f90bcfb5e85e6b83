// What the objects of one chute deployment have in common: their inputs, names, labels and annotations.

import type { Chute } from '@miner/controller/domain/chute.ts';
import type { MinerConfig } from '@miner/controller/domain/config.ts';
import type { DeploymentSpec } from '@miner/controller/domain/deployment.ts';
import { isGpuId, uuid5 } from '@miner/controller/domain/ids.ts';
import type { Server } from '@miner/controller/domain/server.ts';
import { needsLaunchToken } from '@miner/controller/domain/version.ts';
import { demand, demandUuid } from './rules.ts';

export interface ChuteProps {
  spec: DeploymentSpec;
  chute: Chute;
  server: Server;
  config: MinerConfig;
  /** Becomes the annotation `because`. */
  explanation?: string;
}

export const namespace = 'chutes';

/** Prefix of our own annotations; the deployment is read back from them. */
export const annotationPrefix = 'chutes-miner.io/';

export const serviceName = (deploymentId: string): string => `chute-service-${deploymentId}`;
export const jobName = (deploymentId: string): string => `chute-${deploymentId}`;
/** Secret on the member cluster that holds the launch token under key `token`. */
export const launchSecretName = (deploymentId: string): string => `launch-${deploymentId}`;
/** Deployments of the same chute and version on one server share it, so nothing of a deployment is in it (protocol.md 9). */
export const codeName = (chuteId: string, version: string): string => `chute-code-${uuid5(`${chuteId}::${version}`)}`;

/** The four labels of Service, Job and pod (protocol.md 9). */
export function chuteLabels({ spec }: ChuteProps): Record<string, string> {
  return {
    'chutes/chute': 'true',
    'chutes/chute-id': spec.chuteId,
    'chutes/deployment-id': spec.deploymentId,
    'chutes/version': spec.version,
  };
}

/** Labels of Job and pod: the config id when the pod claims its instance itself, the job id when it works on a job. */
export function jobLabels(props: ChuteProps): Record<string, string> {
  const { configId, jobId, chuteId, deploymentId, version } = props.spec;
  return {
    'chutes/chute': 'true',
    'chutes/chute-id': chuteId,
    ...(configId && { 'chutes/config-id': configId }),
    'chutes/deployment-id': deploymentId,
    ...(jobId && { 'chutes/job': 'true', 'chutes/job-id': jobId }),
    'chutes/version': version,
  };
}

/** Everything of the spec that labels and Service ports do not carry. */
export function chuteAnnotations({ spec, explanation }: ChuteProps): Record<string, string> {
  return {
    ...(explanation && { [`${annotationPrefix}because`]: explanation }),
    [`${annotationPrefix}chute-name`]: spec.chuteName,
    [`${annotationPrefix}decision-id`]: spec.decisionId,
    [`${annotationPrefix}disk-gb`]: String(spec.diskGb),
    [`${annotationPrefix}gpu-ids`]: spec.gpuIds.join(','),
    [`${annotationPrefix}preemptible`]: String(spec.preemptible),
    [`${annotationPrefix}reason`]: spec.reason,
    [`${annotationPrefix}server`]: spec.server,
    [`${annotationPrefix}validator`]: spec.validator,
  };
}

function demandSame(field: string, spec: string, other: string, of: string): void {
  demand(spec === other, 'spec', `${field} of the deployment is "${spec}"`, `${of} has "${other}"`);
}

function demandGpus({ spec, chute, server }: ChuteProps): void {
  const ids = spec.gpuIds;
  const wanted = chute.gpuCount;
  demand(ids.length === wanted, 'spec', `the deployment holds ${ids.length} GPUs`, `the chute needs exactly ${wanted}`);
  const owned = new Set(server.gpus.map((gpu) => gpu.gpuId));
  for (const [i, id] of ids.entries()) {
    demand(isGpuId(id), 'R32', `GPU id is "${id}"`, 'it must be 32 hex digits');
    demand(owned.has(id), 'spec', `GPU ${id} is used`, `server ${server.name} has ${[...owned].join(', ') || 'none'}`);
    const before = ids[i - 1];
    demand(
      before === undefined || before < id,
      'R13',
      `GPU ${id} follows ${before}`,
      'GPU ids must be sorted and unique',
    );
  }
}

/** R3, R32 and that spec, chute and server speak of the same thing. Throws E-GUARD. */
export function demandConsistent(props: ChuteProps): void {
  const { spec, chute, server } = props;
  demandUuid('deployment id', spec.deploymentId);
  demandUuid('chute id', spec.chuteId);
  if (spec.configId !== undefined) demandUuid('config id', spec.configId);
  if (spec.jobId !== undefined) demandUuid('job id', spec.jobId);
  demandSame('chute id', spec.chuteId, chute.chuteId, 'the chute');
  demandSame('version', spec.version, chute.version, 'the chute');
  demandSame('validator', spec.validator, chute.validator, 'the chute');
  demandSame('validator', spec.validator, server.validator, 'the server');
  demandSame('server', spec.server, server.name, 'the server');
  demandGpus(props);
  const library = chute.chutesVersion ?? 'unknown';
  demand(
    needsLaunchToken(chute) === (spec.configId !== undefined),
    'R3',
    `config id is ${spec.configId ?? 'absent'}`,
    `library version ${library} ${needsLaunchToken(chute) ? 'needs a launch token' : 'knows no launch token'}`,
  );
}
