// What Argo CD tells people: an Application out of sync, degraded, or failed to sync. The destination is a reference to Argo CD's Secret
// argocd-notifications-secret, which is made by hand.

import type { MinerConfig } from '@miner/controller/domain/config.ts';
import { k8s } from 'cdk8s-plus-28';
import type { Construct } from 'constructs';
import { type JsonObject, toYaml } from '../yaml.ts';
import { inWave } from './waves.ts';

const application = '{{.app.metadata.name}}';
const revision = '{{.app.status.sync.revision}}';

interface Notice {
  /** Condition in Argo CD's expression language; `.x` of what may be missing comes after a test for it. */
  when: string;
  /** Told once for each value of it. */
  oncePer: string;
  message: string;
}

function notices(minutes: number): Record<string, Notice> {
  const state = 'app.status.operationState';
  return {
    degraded: {
      when: `app.status.health.status == 'Degraded'`,
      oncePer: 'app.status.sync.revision',
      message: `${application} is degraded at ${revision}. Why: chutes-miner why, with the id of the deployment that is red.`,
    },
    // A commit is out of sync for a moment, until it is applied.
    'out-of-sync': {
      when:
        `app.status.sync.status in ['OutOfSync', 'Unknown'] and ${state} != nil and ${state}.finishedAt != nil ` +
        `and time.Now().Sub(time.Parse(${state}.finishedAt)).Minutes() >= ${minutes}`,
      oncePer: 'app.status.sync.revision',
      message: `${application} is {{.app.status.sync.status}}: its last sync ended more than ${minutes} minutes ago.`,
    },
    'sync-failed': {
      when: `${state} != nil and ${state}.phase in ['Error', 'Failed']`,
      oncePer: `${state}.syncResult?.revision`,
      message: `${application} cannot be synced to ${revision}: {{.app.status.operationState.message}}`,
    },
  };
}

interface Service {
  key: string;
  settings: JsonObject;
  recipient: string;
}

function serviceOf({ service, channel }: MinerConfig['argocd']['notifications']): Service {
  if (service === 'slack')
    return { key: 'service.slack', settings: { token: '$slack-token' }, recipient: `slack:${channel}` };
  const headers = [{ name: 'Content-Type', value: 'application/json' }];
  return { key: 'service.webhook.miner', settings: { url: '$webhook-url', headers }, recipient: 'miner' };
}

/** Go's template language writes the text as JSON, quotes included. */
const body = (name: string) =>
  `{"application": {{toJson .app.metadata.name}}, "event": "${name}", "health": {{toJson .app.status.health.status}}, "sync": {{toJson .app.status.sync.status}}}`;

export function notifications(scope: Construct, { argocd }: MinerConfig): void {
  if (argocd.notifications.service === 'none') return;
  const { key, settings, recipient } = serviceOf(argocd.notifications);
  const all = Object.entries(notices(argocd.notifications.outOfSyncMinutes));
  const name = 'argocd-notifications-cm';
  const data: Record<string, string> = { [key]: toYaml([settings]) };
  data.subscriptions = toYaml([[{ recipients: [recipient], triggers: all.map(([trigger]) => trigger) }]]);
  for (const [trigger, { when, oncePer, message }] of all) {
    const webhook = { webhook: { miner: { method: 'POST', body: body(trigger) } } };
    data[`template.${trigger}`] = toYaml([{ message, ...(argocd.notifications.service === 'webhook' && webhook) }]);
    data[`trigger.${trigger}`] = toYaml([[{ when, oncePer, send: [trigger] }]]);
  }
  new k8s.KubeConfigMap(scope, name, {
    metadata: {
      name,
      namespace: argocd.namespace,
      labels: { 'app.kubernetes.io/name': name, 'app.kubernetes.io/part-of': 'argocd' },
      annotations: inWave('settings'),
    },
    data,
  });
}
