// One pod at a time: every part of the control plane works on state that two of them would spoil (D21).

import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { type PodProps, podSpec } from './container.ts';
import { inWave } from './waves.ts';

export interface SingletonProps extends PodProps {
  name: string;
  namespace: string;
  /** What the Deployment selects. */
  labels: Record<string, string>;
  /** More labels of the pod. */
  podLabels?: Record<string, string>;
  annotations?: Record<string, string>;
  podAnnotations?: Record<string, string>;
  /** Default: a workload. */
  wave?: 'store' | 'workload';
}

export class Singleton extends Construct {
  constructor(scope: Construct, id: string, props: SingletonProps) {
    super(scope, id);
    const { name, namespace, labels, podLabels, annotations, podAnnotations, wave = 'workload' } = props;
    new k8s.KubeDeployment(this, 'deployment', {
      metadata: { name, namespace, labels, annotations: { ...annotations, ...inWave(wave) } },
      spec: {
        replicas: 1,
        revisionHistoryLimit: 3,
        strategy: { type: 'Recreate' },
        selector: { matchLabels: labels },
        template: {
          metadata: { labels: { ...labels, ...podLabels }, ...(podAnnotations && { annotations: podAnnotations }) },
          spec: podSpec(props),
        },
      },
    });
  }
}
