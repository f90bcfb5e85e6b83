// Metrics, alerts and dashboards: Prometheus and Grafana of the control cluster, Prometheus and exporters of each server.

import type { Chart } from 'cdk8s';
import { DcgmExporter, KubeStateMetrics, NodeExporter } from '../constructs/exporters.ts';
import { Grafana } from '../constructs/grafana.ts';
import { monitoringNamespace } from '../constructs/names.ts';
import { Namespace } from '../constructs/namespace.ts';
import { denyAll } from '../constructs/network-policy.ts';
import { ControlPrometheus, MemberPrometheus } from '../constructs/prometheus.ts';
import type { ChartDefinition, ControlContext, MemberContext } from './definition.ts';

type Context = ControlContext | MemberContext;

function namespacePart(scope: Chart, { config }: Context): void {
  if (!config.monitoring.enabled) return;
  // Node exporter mounts the host's folders, which no stricter level admits.
  new Namespace(scope, 'namespace', { name: monitoringNamespace, enforce: 'privileged' });
  denyAll(scope, monitoringNamespace);
}

function exporters(scope: Chart, context: Context): void {
  if (!context.config.monitoring.enabled) return;
  new KubeStateMetrics(scope, 'kube-state-metrics', context);
  new NodeExporter(scope, 'node-exporter', context);
}

export const monitoringChart: ChartDefinition<ControlContext> = {
  name: 'monitoring',
  parts: {
    namespace: namespacePart,
    exporters,
    prometheus(scope, context) {
      if (context.config.monitoring.enabled) new ControlPrometheus(scope, 'prometheus', context);
    },
    grafana(scope, context) {
      const { enabled, grafana } = context.config.monitoring;
      if (enabled && grafana.enabled) new Grafana(scope, 'grafana', context);
    },
  },
};

export const monitoringMemberChart: ChartDefinition<MemberContext> = {
  name: 'monitoring',
  parts: {
    namespace: namespacePart,
    exporters(scope, context) {
      exporters(scope, context);
      if (context.config.monitoring.enabled) new DcgmExporter(scope, 'dcgm-exporter', context);
    },
    prometheus(scope, context) {
      if (context.config.monitoring.enabled) new MemberPrometheus(scope, 'prometheus', context);
    },
  },
};
