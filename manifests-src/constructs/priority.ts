// The priority of what a GPU server cannot do without: evicted last.

import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { inWave } from './waves.ts';

export const criticalPriority = 'critical-priority';

export class CriticalPriority extends Construct {
  constructor(scope: Construct, id: string) {
    super(scope, id);
    new k8s.KubePriorityClass(this, 'class', {
      metadata: { name: criticalPriority, annotations: inWave('namespace') },
      value: 1_000_000,
      globalDefault: false,
      description: 'Agent and registry proxy of a GPU server.',
    });
  }
}
