// Metrics, alerts and dashboards: Prometheus and Grafana of the control cluster, Prometheus and exporters of each server.

import type { Chart } from 'cdk8s';
import { monitoringNamespace } from '../constructs/names.ts';
import { Namespace } from '../constructs/namespace.ts';
import type { ChartDefinition, ControlContext, MemberContext } from './definition.ts';

function namespacePart(scope: Chart, { config }: ControlContext | MemberContext): void {
  // Node exporter mounts the host's folders, which no stricter level admits.
  if (config.monitoring.enabled)
    new Namespace(scope, 'namespace', { name: monitoringNamespace, enforce: 'privileged' });
}

export const monitoringChart: ChartDefinition<ControlContext> = {
  name: 'monitoring',
  parts: { namespace: namespacePart },
};

export const monitoringMemberChart: ChartDefinition<MemberContext> = {
  name: 'monitoring',
  parts: { namespace: namespacePart },
};
