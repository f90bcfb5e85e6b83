// The kinds that Argo CD may apply, by purpose; what is not listed is refused by the AppProject and not even watched. Secrets are in none.

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
export const argocdKinds: Allowed = {
  cluster: [],
  namespaced: [...kinds('', 'ConfigMap'), ...kinds('argoproj.io', 'Application', 'AppProject')],
};

const podKinds = [...kinds('', 'Pod'), ...kinds('apps', 'ReplicaSet')];

/** Kinds that Argo CD follows in clusters, by API group: what it applies and, if wanted, the pods that come of it. */
export function followedKinds(showPods: boolean): { group: string; kinds: string[] }[] {
  const all = [chuteKinds, platformKinds, argocdKinds].flatMap(({ cluster, namespaced }) => [
    ...cluster,
    ...namespaced,
  ]);
  const groups = new Map<string, Set<string>>();
  for (const { group, kind } of [...all, ...(showPods ? podKinds : [])])
    groups.set(group, (groups.get(group) ?? new Set()).add(kind));
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([group, found]) => ({ group, kinds: [...found].sort() }));
}
