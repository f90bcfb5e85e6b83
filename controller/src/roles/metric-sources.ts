// What the controller's metrics are read from at each scrape.

import type { Clock } from '../domain/clock.ts';
import { type PolicyConfig, policyAt } from '../domain/policy.ts';
import type { Members, Store } from '../domain/ports.ts';
import { createCertificateEnds } from '../kubernetes/certificate.ts';
import type { MetricsSources } from '../metrics/metrics.ts';
import type { Validators } from './validators.ts';

export interface SourceParts {
  store: Pick<Store, 'servers' | 'lifecycles'>;
  ready: NonNullable<MetricsSources['parts']>;
  validators(): Validators;
  members: Pick<Members, 'observe' | 'kubeconfigs'>;
  policy(): PolicyConfig;
  clock: Clock;
}

export function metricSources({ store, ready, validators, members, policy, clock }: SourceParts): MetricsSources {
  const certificateEnd = createCertificateEnds();
  return {
    *feeds() {
      for (const [validator, feeds] of validators().feeds())
        for (const [feed, { fetchedAt }] of Object.entries(feeds)) yield { validator, feed, fetchedAt };
    },
    *validators() {
      for (const validator of validators().feeds().keys()) yield { validator, up: validators().connected(validator) };
    },
    parts: ready,
    fleet: async () => ({ servers: await store.servers(), lifecycles: await store.lifecycles() }),
    *members() {
      const kubeconfigs = members.kubeconfigs();
      for (const [server, { state }] of members.observe().health)
        yield { server, state, certificateEndsAt: certificateEnd(server, kubeconfigs.get(server)) };
    },
    costCeiling: () => policyAt(policy(), clock.now()).costCeiling,
  };
}
