// The control plane: controller, Gepetto, their stores and the audit report, in namespace `chutes` of the control cluster.

import { AuditExporter } from '../constructs/audit-exporter.ts';
import { Claim } from '../constructs/claim.ts';
import { Controller } from '../constructs/controller.ts';
import { Gepetto } from '../constructs/gepetto.ts';
import { GitServer } from '../constructs/git-server.ts';
import { chutesNamespace as namespace } from '../constructs/names.ts';
import { Namespace } from '../constructs/namespace.ts';
import { denyAll } from '../constructs/network-policy.ts';
import { Postgres } from '../constructs/postgres.ts';
import { Redis } from '../constructs/redis.ts';
import { repositoryClaim } from '../constructs/repository.ts';
import type { ChartDefinition, ControlContext } from './definition.ts';

export const minerChart: ChartDefinition<ControlContext> = {
  name: 'miner',
  parts: {
    namespace(scope, { config }) {
      // A folder of the host is above what level `restricted` admits.
      const onHost = [config.postgres, config.redis].some(({ storage }) => storage.kind === 'host');
      new Namespace(scope, 'namespace', { name: namespace, enforce: onHost ? 'privileged' : 'restricted' });
      denyAll(scope, namespace);
    },
    repository: (scope, { config }) =>
      void new Claim(scope, 'repository', {
        name: repositoryClaim,
        namespace,
        size: config.controller.repositorySize,
      }),
    postgres: (scope, context) => void new Postgres(scope, 'postgres', context),
    redis: (scope, context) => void new Redis(scope, 'redis', context),
    'git-server': (scope, context) => {
      if (context.config.git.mode === 'embedded') new GitServer(scope, 'git-server', context);
    },
    controller: (scope, context) => void new Controller(scope, 'controller', context),
    gepetto: (scope, context) => void new Gepetto(scope, 'gepetto', context),
    'audit-exporter': (scope, context) => {
      if (context.config.audit.enabled) new AuditExporter(scope, 'audit-exporter', context);
    },
  },
};
