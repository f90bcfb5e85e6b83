// Who may do what: a ServiceAccount with roles, or roles for the user of a client certificate. Rules are plain; no wildcard gets through.

import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { demand } from './rules.ts';
import { inWave } from './waves.ts';

export interface Rule {
  /** API group; '' is the core. */
  group: string;
  resources: string[];
  verbs: string[];
  names?: string[];
}

export interface Grant {
  name: string;
  /** Undefined: in the whole cluster. */
  namespace?: string;
  rules: Rule[];
}

export type Subject = { user: string } | { serviceAccount: string; namespace: string };

function policyRules(rules: readonly Rule[]): k8s.PolicyRule[] {
  return rules.map(({ group, resources, verbs, names }) => {
    for (const word of [group, ...resources, ...verbs]) {
      demand(!word.includes('*'), 'R25', `a role has "${word}"`, 'a role lists what it needs');
    }
    return { apiGroups: [group], resources, verbs, ...(names && { resourceNames: names }) };
  });
}

function subjectOf(subject: Subject): k8s.Subject {
  if ('user' in subject) return { kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: subject.user };
  return { kind: 'ServiceAccount', name: subject.serviceAccount, namespace: subject.namespace };
}

/** Role and RoleBinding for each grant with a namespace, ClusterRole and ClusterRoleBinding for the others. Throws E-GUARD (R25). */
export class Access extends Construct {
  constructor(scope: Construct, id: string, { subject, grants }: { subject: Subject; grants: readonly Grant[] }) {
    super(scope, id);
    const subjects = [subjectOf(subject)];
    const annotations = inWave('access');
    const apiGroup = 'rbac.authorization.k8s.io';
    for (const { name, namespace, rules } of grants) {
      const metadata = { name, annotations, ...(namespace !== undefined && { namespace }) };
      const within = `${name}-${namespace ?? 'cluster'}`;
      const Role = namespace === undefined ? k8s.KubeClusterRole : k8s.KubeRole;
      const Binding = namespace === undefined ? k8s.KubeClusterRoleBinding : k8s.KubeRoleBinding;
      new Role(this, `role-${within}`, { metadata, rules: policyRules(rules) });
      const kind = namespace === undefined ? 'ClusterRole' : 'Role';
      new Binding(this, `binding-${within}`, { metadata, roleRef: { apiGroup, kind, name }, subjects });
    }
  }
}

/** An account for one workload; its token is mounted only into pods that ask for it. */
export class Account extends Construct {
  constructor(scope: Construct, id: string, { name, namespace }: { name: string; namespace: string }) {
    super(scope, id);
    new k8s.KubeServiceAccount(this, 'account', {
      metadata: { name, namespace, annotations: inWave('access') },
      automountServiceAccountToken: false,
    });
  }
}
