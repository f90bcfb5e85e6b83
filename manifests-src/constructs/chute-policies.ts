// What chutes, jobs and the GPU verification may reach and be reached at (kubernetes.md 1.2.4-1.2.6, defects D1-D4): public addresses and
// name servers, never the API server, a node or another pod.

import type { k8s } from 'cdk8s-plus-28';
import type { Construct } from 'constructs';
import { bootstrapLabel, chutesNamespace as namespace } from './names.ts';
import { denyAll, Policy, tcp, toDns, toInternet } from './network-policy.ts';

const chutes: k8s.LabelSelector = {
  matchLabels: { 'chutes/chute': 'true' },
  matchExpressions: [{ key: 'chutes/job', operator: 'NotIn', values: ['true'] }],
};

export function chutePolicies(scope: Construct): void {
  denyAll(scope, namespace);
  new Policy(scope, 'chutes', {
    name: 'chutes',
    namespace,
    selector: chutes,
    // 8002 answers in TEE chutes only (D4).
    ingress: [{ ports: tcp(8000, 8001, 8002) }],
    egress: [toDns, toInternet(80, 443)],
  });
  new Policy(scope, 'jobs', {
    name: 'chutes-jobs',
    namespace,
    selector: { matchLabels: { 'chutes/chute': 'true', 'chutes/job': 'true' } },
    ingress: [{}],
    egress: [toDns, toInternet()],
  });
  new Policy(scope, 'verification', {
    name: 'verification',
    namespace,
    selector: { matchLabels: bootstrapLabel },
    ingress: [{ ports: tcp(8000) }],
    // It fetches a URL of the validator, which compares addresses.
    egress: [toDns, toInternet(80, 443)],
  });
}
