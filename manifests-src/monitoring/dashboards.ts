// The dashboards, as the JSON that Grafana reads: rows of panels, two beside each other.

interface Target {
  refId: string;
  expr: string;
  legendFormat: string;
}

export interface Dashboard {
  uid: string;
  title: string;
  schemaVersion: number;
  editable: boolean;
  refresh: string;
  time: { from: string; to: string };
  tags: string[];
  panels: {
    id: number;
    title: string;
    type: string;
    datasource: { type: string; uid: string };
    gridPos: { x: number; y: number; w: number; h: number };
    fieldConfig: { defaults: { unit: string }; overrides: [] };
    targets: Target[];
  }[];
}

/** Title, unit as Grafana names it, and queries with their legends. */
type Panel = readonly [title: string, unit: string, ...queries: (readonly [expr: string, legend: string])[]];

function dashboard(uid: string, title: string, panels: readonly Panel[]): Dashboard {
  return {
    uid: `miner-${uid}`,
    title,
    schemaVersion: 39,
    editable: false,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    tags: ['miner'],
    panels: panels.map(([name, unit, ...queries], i) => ({
      id: i + 1,
      title: name,
      type: 'timeseries',
      datasource: { type: 'prometheus', uid: 'prometheus' },
      gridPos: { x: (i % 2) * 12, y: Math.floor(i / 2) * 8, w: 12, h: 8 },
      fieldConfig: { defaults: { unit }, overrides: [] },
      targets: queries.map(([expr, legendFormat], n) => ({ refId: String.fromCharCode(65 + n), expr, legendFormat })),
    })),
  };
}

const quantile = (q: number, step: string) =>
  `histogram_quantile(${q}, sum by (le) (rate(miner_deployment_step_seconds_bucket{step="${step}"}[15m])))`;

export const dashboards: readonly Dashboard[] = [
  dashboard('fleet', 'Fleet', [
    ['Servers', 'short', ['sum by (state) (miner_servers)', '{{state}}']],
    ['Members not healthy', 'short', ['miner_member_up == 0', '{{server}}']],
    ['GPUs by state', 'short', ['sum by (state) (miner_gpus)', '{{state}}']],
    ['GPUs by model', 'short', ['sum by (model) (miner_gpus)', '{{model}}']],
    [
      'CPU in use',
      'percentunit',
      ['1 - avg by (cluster) (rate(node_cpu_seconds_total{mode="idle"}[5m]))', '{{cluster}}'],
    ],
    ['Memory free', 'percentunit', ['node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes', '{{cluster}}']],
    [
      'Disk free',
      'percentunit',
      [
        'node_filesystem_avail_bytes{fstype!~"tmpfs|overlay|squashfs"} / node_filesystem_size_bytes',
        '{{cluster}} {{mountpoint}}',
      ],
    ],
    [
      'Network received by chutes',
      'Bps',
      [
        'sum by (cluster) (rate(container_network_receive_bytes_total{namespace="chutes",cluster!=""}[5m]))',
        '{{cluster}}',
      ],
    ],
  ]),
  dashboard('deployments', 'Deployments and cold starts', [
    ['Deployments', 'short', ['sum by (state) (miner_deployments)', '{{state}}']],
    [
      'Decisions per hour',
      'short',
      ['sum by (kind, reason) (increase(miner_decisions_total[1h]))', '{{kind}} {{reason}}'],
    ],
    ['Cold start: plan to active', 's', [quantile(0.5, 'active'), 'p50'], [quantile(0.95, 'active'), 'p95']],
    ['Oldest launch', 's', ['max(miner_oldest_launch_age_seconds)', 'age']],
    ['Launches per hour', 'short', ['sum by (outcome) (increase(miner_launches_total[1h]))', '{{outcome}}']],
    [
      'Pods of chutes',
      'short',
      ['sum by (phase) (kube_pod_status_phase{namespace="chutes",cluster!=""})', '{{phase}}'],
    ],
    [
      'Memory of chutes',
      'bytes',
      [
        'sum by (cluster) (container_memory_working_set_bytes{namespace="chutes",cluster!="",container!=""})',
        '{{cluster}}',
      ],
    ],
    ['Image repositories on nodes', 'short', ['miner_registry_repositories', '{{cluster}}']],
  ]),
  dashboard('money', 'Money', [
    [
      'Cost per hour',
      'currencyUSD',
      ['sum by (use) (miner_gpu_cost_usd_per_hour)', '{{use}}'],
      ['sum(miner_cost_ceiling_usd_per_hour)', 'ceiling'],
    ],
    [
      'Share of the cost that works',
      'percentunit',
      ['sum(miner_gpu_cost_usd_per_hour{use="held"}) / sum(miner_gpu_cost_usd_per_hour{use="all"})', 'held'],
    ],
    [
      'Compute seconds per dollar',
      'short',
      [
        '3600 * sum(rate(invocation_duration_sum[1h])) / sum(miner_gpu_cost_usd_per_hour{use="all"})',
        'score per dollar',
      ],
    ],
    [
      'Compute seconds per hour by chute',
      's',
      ['topk(10, sum by (chute_id) (increase(invocation_duration_sum[1h])))', '{{chute_id}}'],
    ],
    ['Invocations per second', 'reqps', ['sum by (status) (rate(invocation_total[5m]))', '{{status}}']],
  ]),
  dashboard('gitops', 'GitOps', [
    ['Decision to pushed', 's', [quantile(0.5, 'committed'), 'p50'], [quantile(0.99, 'committed'), 'p99']],
    ['Decision to running', 's', [quantile(0.5, 'running'), 'p50'], [quantile(0.99, 'running'), 'p99']],
    ['Commits per hour', 'short', ['sum by (branch) (increase(miner_commits_total[1h]))', '{{branch}}']],
    ['Reports about the git host', 'short', ['sum(increase(miner_git_problems_total[1h]))', 'reports']],
    ['Applications by sync', 'short', ['sum by (sync_status) (argocd_app_info)', '{{sync_status}}']],
    ['Applications by health', 'short', ['sum by (health_status) (argocd_app_info)', '{{health_status}}']],
  ]),
  dashboard('gpus', 'GPUs', [
    ['Utilisation', 'percent', ['avg by (cluster) (DCGM_FI_DEV_GPU_UTIL)', '{{cluster}}']],
    [
      'Memory in use',
      'percentunit',
      ['DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE)', '{{cluster}} {{gpu}}'],
    ],
    ['Temperature', 'celsius', ['max by (cluster) (DCGM_FI_DEV_GPU_TEMP)', '{{cluster}}']],
    ['Power', 'watt', ['sum by (cluster) (DCGM_FI_DEV_POWER_USAGE)', '{{cluster}}']],
    ['XID errors', 'short', ['DCGM_FI_DEV_XID_ERRORS > 0', '{{cluster}} {{gpu}}']],
  ]),
  dashboard('validators', 'Validator health', [
    ['Sockets', 'short', ['miner_validator_up', '{{validator}}']],
    ['Age of feeds', 's', ['miner_feed_age_seconds', '{{validator}} {{feed}}']],
    [
      'Events',
      'short',
      ['sum by (reason) (increase(miner_events_received_total[1h]))', '{{reason}}'],
      ['sum(increase(miner_events_failed_total[1h]))', 'failed'],
    ],
    ['Events handled', 'short', ['sum(increase(miner_events_handled_total[1h]))', 'handled']],
    ['Parts', 'short', ['miner_part_up', '{{pod}} {{part}}']],
    [
      'API, p95',
      's',
      [
        'histogram_quantile(0.95, sum by (le, route) (rate(miner_api_request_duration_seconds_bucket[5m])))',
        '{{route}}',
      ],
    ],
    [
      'Refused API requests',
      'short',
      ['sum by (reason) (increase(miner_api_signature_failures_total[1h]))', '{{reason}}'],
      ['sum by (limit) (increase(miner_api_limited_total[1h]))', '{{limit}}'],
    ],
    [
      'Registry auth',
      'reqps',
      ['sum by (cluster, result) (rate(miner_registry_auth_total[5m]))', '{{cluster}} {{result}}'],
    ],
  ]),
];
