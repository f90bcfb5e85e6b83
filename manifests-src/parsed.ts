// Rendered manifests as objects, and the kinds of chute that the rule tests go through.

import type { Chute } from '@miner/controller/domain/chute.ts';
import { MinerError } from '@miner/controller/domain/errors.ts';
import * as assert from 'uvu/assert';
import { parseAllDocuments } from 'yaml';
import { type Case, render } from './fixtures.ts';

interface Env {
  name: string;
  value?: string;
  valueFrom?: { secretKeyRef: { name: string; key: string } };
}
interface Container {
  name: string;
  image: string;
  imagePullPolicy: string;
  command?: string[];
  env: Env[];
  ports?: { containerPort: number; protocol: string }[];
  resources: { requests: Record<string, string>; limits: Record<string, string> };
  securityContext: Record<string, unknown>;
  readinessProbe?: { exec: { command: string[] } };
  volumeMounts: { name: string; mountPath: string; subPath?: string }[];
}
interface Pod {
  nodeName: string;
  enableServiceLinks: boolean;
  securityContext: unknown;
  initContainers: Container[];
  containers: Container[];
  volumes: Record<string, unknown>[];
}
interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace: string;
    labels: Record<string, string>;
    annotations?: Record<string, string>;
  };
  data: Record<string, string>;
  spec: {
    ports: { name: string; port: number; targetPort: number; protocol: string; nodePort: number }[];
    selector: unknown;
    externalTrafficPolicy: string;
    template: { metadata: { labels: Record<string, string>; annotations: Record<string, string> }; spec: Pod };
  };
}

export const oldLibrary: Partial<Chute> = { chutesVersion: '0.3.60', code: 'x = 1\n' };
export const legacy: Partial<Chute> = { chutesVersion: '0.2.57', code: 'x = 1\n' };
export const tee: Partial<Chute> = { tee: true, chutesVersion: '0.6.0' };
export const jobId = 'f47ac10b-58cc-4372-a567-0e02b2c3d479';
export const job: Case = {
  chute: {
    jobPorts: [
      { port: 2202, proto: 'TCP' },
      { port: 9000, proto: 'TCP' },
      { port: 9000, proto: 'UDP' },
    ],
  },
  spec: { jobId },
};
export const teeJob: Case = { chute: { ...job.chute, ...tee }, spec: { jobId } };
export const everyKind: Record<string, Case> = {
  plain: {},
  job,
  teeJob,
  oldLibrary: { chute: oldLibrary },
  legacy: { chute: legacy },
};

/** Throws when a part that every deployment has is missing. */
export function parse(change: Case = {}) {
  const all = parseAllDocuments(render(change)).map((document) => document.toJSON() as Manifest);
  const of = (kind: string): Manifest => {
    const found = all.find((manifest) => manifest.kind === kind);
    if (!found) throw new Error(`no ${kind} was rendered`);
    return found;
  };
  const service = of('Service');
  const jobManifest = of('Job');
  const pod = jobManifest.spec.template.spec;
  const [main] = pod.containers;
  const [init] = pod.initContainers;
  if (!main || !init) throw new Error('a container is missing');
  const env = new Map(main.env.map((item) => [item.name, item.value]));
  return { all, of, service, job: jobManifest, pod, main, init, env };
}

export function rejects(change: Case, pattern: RegExp): void {
  assert.throws(
    () => render(change),
    (error: unknown) => error instanceof MinerError && error.code === 'E-GUARD' && pattern.test(error.message),
    `expected E-GUARD matching ${pattern}`,
  );
}
