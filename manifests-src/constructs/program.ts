// What every role of the program has in a pod: its image, the folders it may write to, and where its secrets are.

import type { MinerConfig } from '@miner/controller/domain/config.ts';
import type { k8s } from 'cdk8s-plus-28';
import { secretEnv, secretVolume } from './container.ts';

const secretsFolder = '/run/secrets/miner';

export interface SecretFile {
  path: string;
  volume: k8s.Volume;
  mount: k8s.VolumeMount;
}

export function secretFile(name: string, secret: { name: string; key: string }, file: string): SecretFile {
  return {
    path: `${secretsFolder}/${name}/${file}`,
    volume: secretVolume(name, secret, file),
    mount: { name, mountPath: `${secretsFolder}/${name}`, readOnly: true },
  };
}

/** The wallet file; mounted, never in the environment (R1). */
export const hotkeyFile = ({ secrets }: MinerConfig): SecretFile => secretFile('hotkey', secrets.hotkey, 'hotkey.json');

export const linkTokenFile = ({ secrets }: MinerConfig): SecretFile => secretFile('link', secrets.link, 'token');

/** The only folders of the image that can be written to; the git program looks for its settings at home. */
export const scratch: { volumes: k8s.Volume[]; mounts: k8s.VolumeMount[]; env: k8s.EnvVar[] } = {
  volumes: [{ name: 'tmp', emptyDir: {} }],
  mounts: [{ name: 'tmp', mountPath: '/tmp' }],
  env: [{ name: 'HOME', value: '/tmp' }],
};

/** Labels that the policies of the stores look for. */
export const postgresAccess = { 'postgres-access': 'true' };
export const redisAccess = { 'redis-access': 'true' };

/** Each URL after the password it is made of (R30). */
export function postgresEnv({ postgres, secrets }: MinerConfig): k8s.EnvVar[] {
  const url = `postgres://${postgres.user}:$(POSTGRES_PASSWORD)@postgres:5432/${postgres.database}`;
  return [secretEnv('POSTGRES_PASSWORD', secrets.postgres), { name: 'POSTGRESQL', value: url }];
}

export function redisEnv({ secrets }: MinerConfig): k8s.EnvVar[] {
  return [
    secretEnv('REDIS_PASSWORD', secrets.redis),
    { name: 'REDIS_URL', value: 'redis://:$(REDIS_PASSWORD)@redis:6379/0' },
  ];
}

/** Where Prometheus finds the metrics of a pod. */
export function scraped(port: number): Record<string, string> {
  return { 'prometheus.io/scrape': 'true', 'prometheus.io/path': '/metrics', 'prometheus.io/port': String(port) };
}

/** Ports of the control cluster's roles (docs/roles.md). */
export const ports = { api: 32000, link: 32010, gepetto: 32020 } as const;

/** The port of a URL, also when it is that of its scheme. */
export function portOfUrl(url: string): number {
  const { port, protocol } = new URL(url);
  if (port !== '') return Number(port);
  return protocol === 'http:' || protocol === 'ws:' ? 80 : 443;
}
