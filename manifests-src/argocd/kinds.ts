// The kinds that Argo CD may apply, by purpose; what is not listed is refused by the AppProject and not even followed. Secrets are in none.

interface Kind {
  group: string;
  kind: string;
}

const kinds = (group: string, ...names: string[]): Kind[] => names.map((kind) => ({ group, kind }));

export interface Allowed {
  cluster: readonly Kind[];
  namespaced: readonly Kind[];
}

const roles = 'rbac.authorization.k8s.io';

/** All that a chute needs. */
export const chuteKinds: Allowed = {
  cluster: [],
  namespaced: [...kinds('', 'ConfigMap', 'Service'), ...kinds('batch', 'Job')],
};

/** The miner's own parts, on GPU servers and on the control cluster. */
export const platformKinds: Allowed = {
  cluster: [
    ...kinds('', 'Namespace'),
    ...kinds(roles, 'ClusterRole', 'ClusterRoleBinding'),
    ...kinds('scheduling.k8s.io', 'PriorityClass'),
  ],
  namespaced: [
    ...kinds('', 'ConfigMap', 'PersistentVolumeClaim', 'Service', 'ServiceAccount'),
    ...kinds('apps', 'DaemonSet', 'Deployment'),
    ...kinds('batch', 'CronJob'),
    ...kinds('networking.k8s.io', 'NetworkPolicy'),
    ...kinds('policy', 'PodDisruptionBudget'),
    ...kinds(roles, 'Role', 'RoleBinding'),
  ],
};

/** What Argo CD reads about itself. */
const argocdKinds: Allowed = {
  cluster: [],
  namespaced: [
    ...kinds('', 'ConfigMap'),
    ...kinds('argoproj.io', 'Application', 'AppProject'),
    ...kinds(roles, 'Role', 'RoleBinding'),
  ],
};

/**
 * With what comes of these kinds: Argo CD shows no pod that its project does not allow. Nobody may do more by it, because a Job or a
 * Deployment can hold any pod.
 */
function withPods({ cluster, namespaced }: Allowed): Allowed {
  const hasDeployments = namespaced.some(({ kind }) => kind === 'Deployment');
  const replicaSets = hasDeployments ? kinds('apps', 'ReplicaSet') : [];
  return { cluster, namespaced: [...namespaced, ...kinds('', 'Pod'), ...replicaSets] };
}

/** Kinds that Argo CD follows in clusters, by API group. */
export function followedKinds(allowed: readonly Allowed[]): { group: string; kinds: string[] }[] {
  const groups = new Map<string, Set<string>>();
  for (const { group, kind } of allowed.flatMap(({ cluster, namespaced }) => [...cluster, ...namespaced]))
    groups.set(group, (groups.get(group) ?? new Set()).add(kind));
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([group, found]) => ({ group, kinds: [...found].sort() }));
}

/** What each purpose may apply, as miner.yaml has it. */
export function allowedKinds(showPods: boolean): Record<'argocd' | 'chutes' | 'platform', Allowed> {
  const shown = (allowed: Allowed) => (showPods ? withPods(allowed) : allowed);
  return { argocd: argocdKinds, chutes: shown(chuteKinds), platform: shown(platformKinds) };
}
