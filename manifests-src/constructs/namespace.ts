// A namespace with its pod security level. It outlives a mistake in git: with it everything in it would go.

import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { inWave, keepData } from './waves.ts';

export interface NamespaceProps {
  name: string;
  /** Pods below this level are refused; every level warns of what is not `restricted`. */
  enforce: 'restricted' | 'baseline' | 'privileged';
}

export class Namespace extends Construct {
  constructor(scope: Construct, id: string, { name, enforce }: NamespaceProps) {
    super(scope, id);
    new k8s.KubeNamespace(this, 'namespace', {
      metadata: {
        name,
        labels: {
          'pod-security.kubernetes.io/enforce': enforce,
          'pod-security.kubernetes.io/warn': enforce === 'privileged' ? 'privileged' : 'restricted',
        },
        annotations: { ...inWave('namespace'), ...keepData },
      },
    });
  }
}
