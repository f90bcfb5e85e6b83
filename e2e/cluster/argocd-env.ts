// How Argo CD's parts get what ConfigMap argocd-cmd-params-cm says: as environment variables, by the names that its own install manifest
// gives them.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type KubeObject, readObjects } from './kube.ts';
import type { Tools } from './tools.ts';

export type Part = 'application-controller' | 'repo-server' | 'server';

const workload = z.looseObject({
  spec: z.looseObject({
    template: z.looseObject({
      spec: z.looseObject({
        containers: z.array(
          z.looseObject({
            env: z
              .array(
                z.looseObject({
                  name: z.string(),
                  valueFrom: z
                    .looseObject({ configMapKeyRef: z.looseObject({ name: z.string(), key: z.string() }).optional() })
                    .optional(),
                }),
              )
              .default([]),
          }),
        ),
      }),
    }),
  }),
});

const data = z.looseObject({ data: z.record(z.string(), z.string()).optional() });

let manifest: KubeObject[] | undefined;

export function argocdEnvironment(part: Part, tools: Tools, settings: KubeObject | undefined): Record<string, string> {
  manifest ??= readObjects(readFileSync(join(tools.share, 'argocd', 'install.yaml'), 'utf8'));
  const object = manifest.find(
    ({ kind, metadata }) => /Deployment|StatefulSet/.test(kind) && metadata.name === `argocd-${part}`,
  );
  const values = data.parse(settings ?? {}).data ?? {};
  const found = workload.parse(object).spec.template.spec.containers.flatMap(({ env }) =>
    env.flatMap(({ name, valueFrom }) => {
      const { name: map, key = '' } = valueFrom?.configMapKeyRef ?? {};
      const value = map === 'argocd-cmd-params-cm' ? values[key] : undefined;
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
  return { ARGOCD_BINARY_NAME: `argocd-${part}`, ...Object.fromEntries(found) };
}
