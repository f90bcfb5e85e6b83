// A Deployment of our program as a process of this machine: image entry point, arguments, environment, Secrets and service account are those
// of the object in the cluster. Only addresses and folders are put in the place of those in a pod.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { ControlPlane } from './controlplane.ts';
import { type Process, startProcess, waitFor } from './process.ts';

export interface DeployedOptions {
  plane: ControlPlane;
  namespace: string;
  name: string;
  /** Of volumes and logs. */
  dir: string;
  /** Sources to run. Default: those of the tests. */
  program?: string | undefined;
  /** Added behind the arguments of the container, where the last one of a name wins. */
  args?: readonly string[];
  /** Texts in arguments and environment, and what stands for them. */
  instead?: readonly (readonly [pattern: RegExp, text: string])[];
  /** What the pod would know of its node. */
  nodeName?: string;
  /** How long the Deployment may take to appear, ms. Default: two minutes. */
  timeoutMs?: number;
}

const keyRef = z.looseObject({ name: z.string(), key: z.string() });
const shape = z.looseObject({
  spec: z.looseObject({
    template: z.looseObject({
      spec: z.looseObject({
        serviceAccountName: z.string().optional(),
        automountServiceAccountToken: z.boolean().default(true),
        containers: z
          .array(
            z.looseObject({
              args: z.array(z.string()).default([]),
              env: z
                .array(
                  z.looseObject({
                    name: z.string(),
                    value: z.string().default(''),
                    valueFrom: z
                      .looseObject({
                        secretKeyRef: keyRef.optional(),
                        fieldRef: z.looseObject({ fieldPath: z.string() }).optional(),
                      })
                      .optional(),
                  }),
                )
                .default([]),
              volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string() })).default([]),
            }),
          )
          .min(1),
        volumes: z
          .array(
            z.looseObject({
              name: z.string(),
              secret: z
                .looseObject({
                  secretName: z.string(),
                  items: z.array(z.looseObject({ key: z.string(), path: z.string() })).default([]),
                })
                .optional(),
            }),
          )
          .default([]),
      }),
    }),
  }),
});

const ownSources = fileURLToPath(new URL('../..', import.meta.url));

/** Waits until the Deployment is there, and starts it; that it serves is the caller's to wait for. Rejects when a Secret is missing. */
export async function startDeployed(options: DeployedOptions): Promise<Process> {
  const {
    plane,
    namespace,
    name,
    dir,
    program = ownSources,
    instead = [],
    nodeName = '',
    timeoutMs = 120_000,
  } = options;
  const object = await waitFor(
    `Deployment ${namespace}/${name} of ${plane.name}`,
    () => plane.kube.get('apps/v1/deployments', name, namespace),
    { timeoutMs, everyMs: 250 },
  );
  const pod = shape.parse(object).spec.template.spec;
  const [container] = pod.containers;
  const env: Record<string, string> = {};

  async function secretValue(secretName: string, key: string): Promise<string> {
    const secret = await plane.kube.get('v1/secrets', secretName, namespace);
    const data = z.looseObject({ data: z.record(z.string(), z.string()).default({}) }).parse(secret ?? {}).data;
    const value = data[key];
    if (value === undefined) throw new Error(`Secret ${namespace}/${secretName} of ${plane.name} has no key ${key}`);
    return Buffer.from(value, 'base64').toString('utf8');
  }

  const folders = new Map<string, string>();
  for (const volume of pod.volumes) {
    const folder = join(dir, volume.name);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const { key, path } of volume.secret?.items ?? [])
      writeFileSync(join(folder, path), await secretValue(volume.secret?.secretName ?? '', key), { mode: 0o600 });
    folders.set(volume.name, folder);
  }

  const places = new Map(
    (container?.volumeMounts ?? []).map(({ name: volume, mountPath }) => [mountPath, folders.get(volume) ?? dir]),
  );
  const paths = [...places.keys()].sort((a, b) => b.length - a.length);
  const mounted = paths.length > 0 ? new RegExp(`(${paths.join('|')})(?=/|$)`, 'g') : undefined;

  function placed(text: string): string {
    const filled = text.replaceAll(/\$\(([A-Z_]+)\)/g, (whole, variable: string) => env[variable] ?? whole);
    // All at once: what one is replaced by may begin like another.
    let result = mounted ? filled.replaceAll(mounted, (path) => places.get(path) ?? path) : filled;
    for (const [pattern, other] of instead) result = result.replace(pattern, other);
    return result;
  }

  for (const { name: variable, value, valueFrom } of container?.env ?? []) {
    const { secretKeyRef, fieldRef } = valueFrom ?? {};
    if (secretKeyRef) env[variable] = await secretValue(secretKeyRef.name, secretKeyRef.key);
    else env[variable] = fieldRef?.fieldPath === 'spec.nodeName' ? nodeName : placed(value);
  }

  const args = (container?.args ?? []).map(placed);
  if (pod.serviceAccountName !== undefined && pod.automountServiceAccountToken) {
    const file = join(dir, 'account.kubeconfig');
    writeFileSync(file, await plane.accountKubeconfig(namespace, pod.serviceAccountName), { mode: 0o600 });
    args.push(`--kubeconfig=${file}`);
  }
  return startProcess({
    name: `${plane.name}/${name}`,
    command: process.execPath,
    args: [
      '--disable-warning=ExperimentalWarning',
      join(program, 'controller/src/main.ts'),
      ...args,
      ...(options.args ?? []),
    ],
    env: { ...env, ...(process.env.NODE_COMPILE_CACHE && { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE }) },
    cwd: dir,
    logFile: join(dir, `${name}.log`),
  });
}
