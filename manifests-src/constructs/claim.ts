// A volume claim. Its data outlive the chart.

import { k8s } from 'cdk8s-plus-28';
import { Construct } from 'constructs';
import { inWave, keepData } from './waves.ts';

export interface ClaimProps {
  name: string;
  namespace: string;
  size: string;
  storageClass?: string | undefined;
  /** That of the pods that use it: a claim may wait for its first pod, and Argo CD waits for the claim. Default: a workload. */
  wave?: 'store' | 'workload';
}

export class Claim extends Construct {
  constructor(scope: Construct, id: string, { name, namespace, size, storageClass, wave = 'workload' }: ClaimProps) {
    super(scope, id);
    new k8s.KubePersistentVolumeClaim(this, 'claim', {
      metadata: { name, namespace, annotations: { ...inWave(wave), ...keepData } },
      spec: {
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: k8s.Quantity.fromString(size) } },
        ...(storageClass !== undefined && { storageClassName: storageClass }),
      },
    });
  }
}

export interface DataProps {
  kind: 'claim' | 'host' | 'none';
  claim: string;
  hostPath: string;
}

/** The volume `data` of a store. */
export function dataVolume({ kind, claim, hostPath }: DataProps): k8s.Volume {
  if (kind === 'claim') return { name: 'data', persistentVolumeClaim: { claimName: claim } };
  if (kind === 'host') return { name: 'data', hostPath: { path: hostPath, type: 'DirectoryOrCreate' } };
  return { name: 'data', emptyDir: {} };
}
