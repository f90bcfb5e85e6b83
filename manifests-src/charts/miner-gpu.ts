// What every GPU server runs beside its chutes: agent and registry proxy in a namespace of their own, and the rules around the chutes.

import { Agent } from '../constructs/agent.ts';
import { CacheCleaner } from '../constructs/cache-cleaner.ts';
import { chutePolicies } from '../constructs/chute-policies.ts';
import { MemberAccess } from '../constructs/member-access.ts';
import { chutesNamespace, systemNamespace } from '../constructs/names.ts';
import { Namespace } from '../constructs/namespace.ts';
import { denyAll } from '../constructs/network-policy.ts';
import { CriticalPriority } from '../constructs/priority.ts';
import { RegistryProxy } from '../constructs/registry-proxy.ts';
import type { ChartDefinition, MemberContext } from './definition.ts';

export const minerGpuChart: ChartDefinition<MemberContext> = {
  name: 'miner-gpu',
  perServer: ['cache-cleaner', 'registry'],
  parts: {
    // Chutes mount the host's cache, and the agent keeps its state on the host: no stricter level admits them (R24).
    namespaces(scope) {
      new Namespace(scope, 'chutes', { name: chutesNamespace, enforce: 'privileged' });
      new Namespace(scope, 'system', { name: systemNamespace, enforce: 'privileged' });
      new CriticalPriority(scope, 'priority');
    },
    policies(scope) {
      chutePolicies(scope);
      denyAll(scope, systemNamespace);
    },
    access: (scope, { config }) => void new MemberAccess(scope, 'access', config.agent),
    agent: (scope, context) => void new Agent(scope, 'agent', context),
    'cache-cleaner': (scope, context) => void new CacheCleaner(scope, 'cache-cleaner', context),
    registry: (scope, context) => {
      if (context.config.registry.mode === 'proxy') new RegistryProxy(scope, 'registry', context);
    },
  },
};
