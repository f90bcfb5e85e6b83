// Argo CD's own ConfigMaps: what it follows, how it judges Jobs, pods and volume claims, how much it does at a time, what it tells people. They are applied
// field by field over those that Argo CD was installed with, so that other settings stay.

import { readFileSync } from 'node:fs';
import type { MinerConfig } from '@miner/controller/domain/config.ts';
import { k8s } from 'cdk8s-plus-28';
import type { Construct } from 'constructs';
import { allowedKinds, followedKinds } from '../argocd/kinds.ts';
import { toYaml } from '../yaml.ts';
import { inWave } from './waves.ts';

const lua = (name: string): string => readFileSync(new URL(`../argocd/${name}.lua`, import.meta.url), 'utf8');
const jobHealthTemplate = lua('job-health');
const podHealth = lua('pod-health');
const claimHealth = lua('claim-health');
/** Restart and nothing else: two pods of one part, or none, is what nobody may ask for with a button. */
const restartOnly = toYaml([
  {
    'discovery.lua': 'return { restart = {} }',
    definitions: [{ name: 'restart', 'action.lua': lua('restart') }],
  },
]);
const lockActions = toYaml([
  {
    'discovery.lua': lua('lock-discovery'),
    definitions: ['lock', 'unlock'].map((name) => ({ name, 'action.lua': lua('lock').replace('ACTION', name) })),
  },
]);

/** Lua that Argo CD judges a Job with. */
export function jobHealth({ argocd }: MinerConfig): string {
  return jobHealthTemplate.replace('LAUNCH_MINUTES', String(argocd.launchMinutes));
}

function settingsMap(scope: Construct, { argocd }: MinerConfig, name: string, data: Record<string, string>): void {
  new k8s.KubeConfigMap(scope, name, {
    metadata: {
      name,
      namespace: argocd.namespace,
      // Argo CD reads no ConfigMap without it.
      labels: { 'app.kubernetes.io/name': name, 'app.kubernetes.io/part-of': 'argocd' },
      annotations: inWave('settings'),
    },
    data,
  });
}

export function behaviour(scope: Construct, config: MinerConfig): void {
  const { refreshSeconds, showPods } = config.argocd;
  const inclusions = followedKinds(Object.values(allowedKinds(showPods))).map(({ group, kinds }) => ({
    apiGroups: [group],
    kinds,
    clusters: ['*'],
  }));
  settingsMap(scope, config, 'argocd-cm', {
    'application.resourceTrackingMethod': 'annotation',
    'resource.customizations.actions.apps_DaemonSet': restartOnly,
    'resource.customizations.actions.apps_Deployment': restartOnly,
    'resource.customizations.actions.argoproj.io_Application': lockActions,
    // No action on a Job: suspended, ended or started again it would run without the launch token, which is spent by then.
    'resource.customizations.actions.batch_Job': toYaml([{ 'discovery.lua': 'return {}', definitions: [] }]),
    'resource.customizations.health.PersistentVolumeClaim': claimHealth,
    'resource.customizations.health.Pod': podHealth,
    'resource.customizations.health.batch_Job': jobHealth(config),
    // A status that leaves the health as it is compares nothing anew: measured, most of Argo CD's work.
    'resource.customizations.ignoreResourceUpdates.all': toYaml([{ jsonPointers: ['/status'] }]),
    // The Application that holds the others would be compared anew at each hint and each sync of one of them.
    'resource.customizations.ignoreResourceUpdates.argoproj.io_Application': toYaml([
      { jsonPointers: ['/metadata/annotations/argocd.argoproj.io~1refresh', '/operation'] },
    ]),
    'resource.ignoreResourceUpdatesEnabled': 'true',
    'resource.inclusions': toYaml([inclusions]),
    'timeout.reconciliation': `${refreshSeconds}s`,
  });
}

export function pace(scope: Construct, config: MinerConfig): void {
  const { statusProcessors, operationProcessors } = config.argocd;
  settingsMap(scope, config, 'argocd-cmd-params-cm', {
    'controller.operation.processors': String(operationProcessors),
    'controller.self.heal.timeout.seconds': '5',
    'controller.status.processors': String(statusProcessors),
    'reposerver.parallelism.limit': '8',
  });
}
