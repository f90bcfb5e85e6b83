// Series of other programs that alerts and dashboards use. These and no others are fetched from GPU servers.

/** Of chutes, counted by their runtime (kubernetes.md 5.2). */
export const chuteSeries = ['invocation_total', 'invocation_duration_sum'] as const;

/** kube-state-metrics, node-exporter, DCGM exporter, cAdvisor. */
export const serverSeries = [
  'kube_job_status_failed',
  'kube_node_status_condition',
  'kube_pod_container_status_restarts_total',
  'kube_pod_status_phase',
  'kubelet_volume_stats_available_bytes',
  'kubelet_volume_stats_capacity_bytes',
  'node_cpu_seconds_total',
  'node_filesystem_avail_bytes',
  'node_filesystem_size_bytes',
  'node_memory_MemAvailable_bytes',
  'node_memory_MemTotal_bytes',
  'node_timex_maxerror_seconds',
  'node_timex_offset_seconds',
  'node_timex_sync_status',
  'DCGM_FI_DEV_FB_FREE',
  'DCGM_FI_DEV_FB_USED',
  'DCGM_FI_DEV_GPU_TEMP',
  'DCGM_FI_DEV_GPU_UTIL',
  'DCGM_FI_DEV_POWER_USAGE',
  'DCGM_FI_DEV_XID_ERRORS',
  'container_memory_working_set_bytes',
  'container_network_receive_bytes_total',
] as const;

/** Our own that GPU servers have: registry auth. */
export const ownSeriesOfServers = [
  'miner_registry_auth_total',
  'miner_registry_list_age_seconds',
  'miner_registry_repositories',
] as const;

/** Argo CD, and Prometheus about its targets. */
export const controlSeries = ['argocd_app_info', 'up'] as const;
