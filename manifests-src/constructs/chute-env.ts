// The environment of the chute container and of its init container (kubernetes.md 3.2). The order is fixed; the launch token is only
// ever a reference to a Secret (R3).

import { gpuEnvId } from '@miner/controller/domain/ids.ts';
import { hasAttestationPort, needsLaunchToken } from '@miner/controller/domain/version.ts';
import type { k8s } from 'cdk8s-plus-28';
import { type ChuteProps, launchSecretName } from './chute-props.ts';

const cacheEnv = { HF_HOME: '/cache', CIVITAI_HOME: '/cache/civitai' };

const ncclEnv = {
  NCCL_P2P_DISABLE: '1',
  NCCL_IB_DISABLE: '1',
  NCCL_SHM_DISABLE: '0',
  NCCL_NET_GDR_LEVEL: '0',
  NCCL_DEBUG: 'INFO',
  NCCL_SOCKET_IFNAME: 'lo',
  NCCL_SOCKET_FAMILY: 'AF_INET',
};

function literal(values: Readonly<Record<string, string>>): k8s.EnvVar[] {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

const devices = ({ spec }: ChuteProps): string => spec.gpuIds.map(gpuEnvId).join(',');

function portEnv(props: ChuteProps): Record<string, string> {
  const names: Record<string, string> = { 'TCP:8000': 'CHUTES_PORT_PRIMARY', 'TCP:8001': 'CHUTES_PORT_LOGGING' };
  if (hasAttestationPort(props.chute)) names['TCP:8002'] = 'CHUTES_PORT_ATTESTATION';
  // By number, never by index: what has no name of its own is the job's (kubernetes.md 10, D13).
  return Object.fromEntries(
    props.spec.ports.map(({ port, proto, nodePort }) => [
      names[`${proto}:${port}`] ?? `CHUTES_PORT_${proto}_${port}`,
      String(nodePort),
    ]),
  );
}

/** TEE guests of unknown version get the slower but safe download path. */
function teeEnv({ chute }: ChuteProps): Record<string, string> {
  return chute.tee ? { HF_HUB_DISABLE_XET: '1', HF_HUB_ENABLE_HF_TRANSFER: '1' } : {};
}

function launchEnv({ spec, chute, server }: ChuteProps): k8s.EnvVar[] {
  if (!needsLaunchToken(chute)) return [];
  return [
    {
      name: 'CHUTES_LAUNCH_JWT',
      valueFrom: { secretKeyRef: { name: launchSecretName(spec.deploymentId), key: 'token' } },
    },
    { name: 'CHUTES_EXTERNAL_HOST', value: server.ip },
  ];
}

/** Environment of the chute container. */
export function chuteEnv(props: ChuteProps): k8s.EnvVar[] {
  return [
    ...literal({
      ...ncclEnv,
      NVIDIA_VISIBLE_DEVICES: devices(props),
      CHUTES_NVIDIA_DEVICES: devices(props),
      CHUTES_EXECUTION_CONTEXT: 'REMOTE',
      VLLM_DISABLE_TELEMETRY: '1',
      ...cacheEnv,
      ...portEnv(props),
      ...teeEnv(props),
    }),
    ...launchEnv(props),
  ];
}

/** Environment of the init container; it sees the GPUs only to learn whether they are idle. */
export function cacheInitEnv(props: ChuteProps): k8s.EnvVar[] {
  return literal({
    CLEANUP_EXCLUDE: props.spec.chuteId,
    ...cacheEnv,
    CACHE_MAX_AGE_DAYS: String(props.config.cache.maxAgeDays),
    CACHE_MAX_SIZE_GB: String(props.config.cache.maxSizeGb),
    ...(props.config.cache.dryRun && { CACHE_DRY_RUN: 'true' }),
    NVIDIA_VISIBLE_DEVICES: devices(props),
  });
}
