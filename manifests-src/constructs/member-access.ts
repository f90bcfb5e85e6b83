// What user `miner` may do on a GPU server: the controller works with its certificate, and people get the same kubeconfig.

import { Construct } from 'constructs';
import { Access, type Grant } from './access.ts';
import { chutesNamespace, minerUser, systemNamespace } from './names.ts';

const read = ['get', 'list', 'watch'];

/**
 * What the controller calls, verb by verb. Secrets can be listed in `chutes` only, where none but launch Secrets live: the hotkey's is in
 * another namespace (D24).
 */
export const controllerGrants: readonly Grant[] = [
  { name: 'miner', rules: [{ group: '', resources: ['nodes'], verbs: ['get', 'list', 'patch'] }] },
  {
    name: 'miner',
    namespace: chutesNamespace,
    rules: [
      { group: '', resources: ['pods'], verbs: ['list', 'watch'] },
      { group: '', resources: ['secrets'], verbs: ['list', 'create', 'update', 'delete'] },
      { group: '', resources: ['services'], verbs: ['create', 'delete'] },
      { group: 'batch', resources: ['jobs'], verbs: ['get', 'list', 'create', 'delete'] },
    ],
  },
];

function operatorGrant(namespace: string): Grant {
  return {
    name: 'operator',
    namespace,
    rules: [
      { group: '', resources: ['pods', 'services', 'configmaps', 'events'], verbs: read },
      { group: '', resources: ['pods/log'], verbs: ['get'] },
      { group: 'apps', resources: ['deployments', 'daemonsets'], verbs: read },
      { group: 'batch', resources: ['jobs', 'cronjobs'], verbs: read },
    ],
  };
}

/** For people with the miner's kubeconfig: to look, not to touch. */
export const operatorGrants: readonly Grant[] = [operatorGrant(chutesNamespace), operatorGrant(systemNamespace)];

export class MemberAccess extends Construct {
  constructor(scope: Construct, id: string, { operatorAccess }: { operatorAccess: boolean }) {
    super(scope, id);
    const grants = [...controllerGrants, ...(operatorAccess ? operatorGrants : [])];
    new Access(this, 'access', { subject: { user: minerUser }, grants });
  }
}
