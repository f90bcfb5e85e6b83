// The alert rules. Each has an example: series under which it fires, as promtool writes them, and the labels it then has.

export interface Alert {
  name: string;
  expr: string;
  /** How long it must hold. */
  for: string;
  severity: 'critical' | 'warning';
  summary: string;
  example: {
    /** Selector and values, one each minute; `_` is no sample. */
    series: Record<string, string>;
    /** The same without the fault. */
    quiet: Record<string, string>;
    /** Minutes until it fires. */
    after: number;
    labels: Record<string, string>;
  };
}

function alert(
  name: string,
  severity: Alert['severity'],
  [expr, holds]: [expr: string, holds: string],
  summary: string,
  [series, bad, good]: [series: string | Record<string, string>, bad: string, good: string],
  labels: Record<string, string>,
  after = 90,
): Alert {
  const constant = typeof series === 'string' ? {} : series;
  const changing = typeof series === 'string' ? series : (Object.keys(series)[0] ?? '');
  return {
    name,
    severity,
    expr,
    for: holds,
    summary,
    example: { series: { ...constant, [changing]: bad }, quiet: { ...constant, [changing]: good }, after, labels },
  };
}

const one = '1x200';
const nought = '0x200';

export const alerts: readonly Alert[] = [
  alert(
    'ControllerDown',
    'critical',
    ['absent(miner_validator_up)', '2m'],
    'The controller tells nothing.',
    ['miner_validator_up{validator="v"}', '_x200', one],
    {},
  ),
  alert(
    'GepettoDown',
    'critical',
    ['absent(miner_part_up{part="controller"})', '2m'],
    'Gepetto tells nothing.',
    ['miner_part_up{part="controller"}', '_x200', one],
    { part: 'controller' },
  ),
  alert(
    'ValidatorSocketDown',
    'critical',
    ['miner_validator_up == 0', '2m'],
    'The socket to validator {{ $labels.validator }} is down.',
    ['miner_validator_up{validator="v"}', nought, one],
    { validator: 'v' },
  ),
  alert(
    'FeedSilent',
    'warning',
    ['miner_feed_age_seconds > 300', '2m'],
    'Feed {{ $labels.feed }} of {{ $labels.validator }} is silent.',
    ['miner_feed_age_seconds{validator="v",feed="chutes"}', '301x200', '15x200'],
    { validator: 'v', feed: 'chutes' },
  ),
  alert(
    'GitUnreachable',
    'critical',
    ['miner_part_up{part="git"} == 0', '2m'],
    'The git host does not answer {{ $labels.pod }}.',
    ['miner_part_up{part="git",pod="gepetto"}', nought, one],
    { part: 'git', pod: 'gepetto' },
  ),
  alert(
    'DatabaseDown',
    'critical',
    ['miner_part_up{part="store"} == 0', '2m'],
    '{{ $labels.pod }} does not reach PostgreSQL.',
    ['miner_part_up{part="store",pod="c"}', nought, one],
    { part: 'store', pod: 'c' },
  ),
  alert(
    'RedisDown',
    'critical',
    ['miner_part_up{part="redis"} == 0', '2m'],
    '{{ $labels.pod }} does not reach Redis.',
    ['miner_part_up{part="redis",pod="c"}', nought, one],
    { part: 'redis', pod: 'c' },
  ),
  alert(
    'MemberUnhealthy',
    'warning',
    ['miner_member_up == 0', '5m'],
    'Server {{ $labels.server }} is not healthy: nothing is planned for it.',
    ['miner_member_up{server="gpu-01"}', nought, one],
    { server: 'gpu-01' },
  ),
  alert(
    'CertificateEnds',
    'warning',
    ['miner_member_certificate_end_timestamp_seconds - time() < 30 * 86400', '1h'],
    'The certificate with which {{ $labels.server }} is reached ends within 30 days: nothing renews it by itself.',
    ['miner_member_certificate_end_timestamp_seconds{server="gpu-01"}', '2590000x200', '9999999x200'],
    { server: 'gpu-01' },
  ),
  alert(
    'MemberMetricsDown',
    'warning',
    ['up{job="federate"} == 0', '5m'],
    'Prometheus of {{ $labels.cluster }} cannot be asked: network, password or certificate.',
    ['up{job="federate",cluster="gpu-01"}', nought, one],
    { job: 'federate', cluster: 'gpu-01' },
  ),
  alert(
    'EventsFailing',
    'warning',
    ['sum by (reason) (rate(miner_events_failed_total[10m])) > 0', '15m'],
    'Events {{ $labels.reason }} cannot be handled.',
    ['miner_events_failed_total{reason="job_created"}', '0+1x200', nought],
    { reason: 'job_created' },
  ),
  alert(
    'LaunchesFailing',
    'critical',
    [
      'sum by (validator) (rate(miner_launches_total{outcome!="granted"}[15m])) > 0.8 * sum by (validator) (rate(miner_launches_total[15m]))',
      '10m',
    ],
    'Hardly a launch is granted by {{ $labels.validator }}.',
    [
      {
        'miner_launches_total{validator="v",outcome="granted"}': '',
        'miner_launches_total{validator="v",outcome="failed"}': '0+1x200',
      },
      nought,
      '0+9x200',
    ],
    { validator: 'v' },
  ),
  alert(
    'LaunchStuck',
    'warning',
    ['miner_oldest_launch_age_seconds > 1800', '5m'],
    'A deployment is not active half an hour after it was planned.',
    ['miner_oldest_launch_age_seconds', '1801x200', '60x200'],
    {},
  ),
  alert(
    'NoCommitsLanded',
    'critical',
    [
      'sum(miner_deployments{state="planned"}) > 0 and sum(increase(miner_commits_total{branch="live"}[15m])) == 0',
      '15m',
    ],
    'Deployments are planned, but no commit lands on branch live.',
    [{ 'miner_commits_total{branch="live"}': '', 'miner_deployments{state="planned"}': '3x200' }, '5x200', '5+1x200'],
    {},
  ),
  alert(
    'CostAboveCeiling',
    'warning',
    ['sum(miner_gpu_cost_usd_per_hour{use="held"}) > sum(miner_cost_ceiling_usd_per_hour)', '5m'],
    'GPUs in use cost more per hour than the policy allows.',
    [{ 'miner_gpu_cost_usd_per_hour{use="held"}': '', miner_cost_ceiling_usd_per_hour: '10x200' }, '11x200', '9x200'],
    {},
  ),
  alert(
    'GpusIdle',
    'warning',
    ['sum by (model) (miner_gpus{state="free"}) > 0', '6h'],
    'Verified GPUs {{ $labels.model }} earn nothing for six hours.',
    ['miner_gpus{model="h100",state="free"}', '2x400', '0x400'],
    { model: 'h100' },
    370,
  ),
  alert(
    'GpuError',
    'critical',
    ['DCGM_FI_DEV_XID_ERRORS > 0', '1m'],
    'GPU {{ $labels.gpu }} of {{ $labels.cluster }} reports an XID error.',
    ['DCGM_FI_DEV_XID_ERRORS{cluster="gpu-01",gpu="3"}', '79x200', nought],
    { cluster: 'gpu-01', gpu: '3' },
  ),
  alert(
    'GpuHot',
    'warning',
    ['DCGM_FI_DEV_GPU_TEMP > 90', '10m'],
    'GPU {{ $labels.gpu }} of {{ $labels.cluster }} is hotter than 90 degrees.',
    ['DCGM_FI_DEV_GPU_TEMP{cluster="gpu-01",gpu="3"}', '93x200', '60x200'],
    { cluster: 'gpu-01', gpu: '3' },
  ),
  alert(
    'DiskAlmostFull',
    'warning',
    ['node_filesystem_avail_bytes{fstype!~"tmpfs|overlay|squashfs"} < 0.1 * node_filesystem_size_bytes', '15m'],
    'Less than a tenth of {{ $labels.mountpoint }} on {{ $labels.cluster }} is free.',
    [
      {
        'node_filesystem_avail_bytes{cluster="gpu-01",mountpoint="/var/snap"}': '',
        'node_filesystem_size_bytes{cluster="gpu-01",mountpoint="/var/snap"}': '100x200',
      },
      '9x200',
      '11x200',
    ],
    { cluster: 'gpu-01', mountpoint: '/var/snap' },
  ),
  alert(
    'VolumeAlmostFull',
    'warning',
    ['kubelet_volume_stats_available_bytes < 0.1 * kubelet_volume_stats_capacity_bytes', '15m'],
    'Volume {{ $labels.persistentvolumeclaim }} is nearly full.',
    [
      {
        'kubelet_volume_stats_available_bytes{persistentvolumeclaim="p"}': '',
        'kubelet_volume_stats_capacity_bytes{persistentvolumeclaim="p"}': '100x200',
      },
      '9x200',
      '11x200',
    ],
    { persistentvolumeclaim: 'p' },
  ),
  alert(
    'NodeNotReady',
    'warning',
    ['kube_node_status_condition{condition="Ready",status="true"} == 0', '5m'],
    'Node {{ $labels.node }} is not ready.',
    ['kube_node_status_condition{condition="Ready",status="true",node="n"}', nought, one],
    { condition: 'Ready', status: 'true', node: 'n' },
  ),
  alert(
    'ClockSkew',
    'warning',
    [
      'abs(node_timex_offset_seconds) > 0.5 or (node_timex_sync_status == 0 and node_timex_maxerror_seconds >= 16)',
      '10m',
    ],
    'The clock of {{ $labels.cluster }} is off: signatures will be refused.',
    ['node_timex_offset_seconds{cluster="gpu-01"}', '-0.7x200', '0.01x200'],
    { cluster: 'gpu-01' },
  ),
  alert(
    'RegistryAuthRefusing',
    'warning',
    ['sum by (cluster) (rate(miner_registry_auth_total{result!="signed"}[10m])) > 0.5', '10m'],
    'Registry auth of {{ $labels.cluster }} refuses pulls.',
    ['miner_registry_auth_total{cluster="gpu-01",result="refused"}', '0+60x200', '0+1x200'],
    { cluster: 'gpu-01' },
  ),
  alert(
    'RegistryListOld',
    'warning',
    ['miner_registry_list_age_seconds > 600', '5m'],
    'Registry auth of {{ $labels.cluster }} has not seen its pods for ten minutes.',
    ['miner_registry_list_age_seconds{cluster="gpu-01"}', '601x200', '5x200'],
    { cluster: 'gpu-01' },
  ),
  alert(
    'StrategyFailing',
    'warning',
    ['sum(increase(miner_strategy_passes_total{outcome!="answered"}[15m])) > 3', '15m'],
    "The owner's strategy fails; the default one decides.",
    ['miner_strategy_passes_total{outcome="failed"}', '0+1x200', nought],
    {},
  ),
  alert(
    'ArgoNotSynced',
    'warning',
    ['sum by (name) (argocd_app_info{sync_status!="Synced"}) > 0', '5m'],
    'Application {{ $labels.name }} is not synced.',
    ['argocd_app_info{name="gpu-01",sync_status="OutOfSync"}', one, '_x200'],
    { name: 'gpu-01' },
  ),
  alert(
    'ArgoDegraded',
    'warning',
    ['sum by (name) (argocd_app_info{health_status="Degraded"}) > 0', '10m'],
    'Application {{ $labels.name }} is degraded.',
    ['argocd_app_info{name="gpu-01",health_status="Degraded"}', one, '_x200'],
    { name: 'gpu-01' },
  ),
  alert(
    'AuditReportFailed',
    'warning',
    ['kube_job_status_failed{namespace="chutes",job_name=~"audit-exporter-.*"} > 0', '5m'],
    'Audit report {{ $labels.job_name }} failed.',
    ['kube_job_status_failed{namespace="chutes",job_name="audit-exporter-1"}', one, nought],
    { namespace: 'chutes', job_name: 'audit-exporter-1' },
  ),
  alert(
    'PartRestarting',
    'warning',
    ['increase(kube_pod_container_status_restarts_total{namespace=~"chutes|chutes-system|monitoring"}[1h]) > 5', '5m'],
    '{{ $labels.pod }} starts again and again.',
    ['kube_pod_container_status_restarts_total{namespace="monitoring",pod="p"}', '0+1x200', nought],
    { namespace: 'monitoring', pod: 'p' },
  ),
];

/** As Prometheus reads it. */
export const alertRules = {
  groups: [
    {
      name: 'miner',
      rules: alerts.map(({ name, expr, for: holds, severity, summary }) => ({
        alert: name,
        expr,
        for: holds,
        labels: { severity },
        annotations: { summary },
      })),
    },
  ],
};
