// What the objects of a GPU verification are called and found by; what is in them is drawn by manifests-src/charts/graval-bootstrap.ts.

import { createHash } from 'node:crypto';
import type { BootstrapRequest } from './ports.ts';

/** Names hold at most 63 characters; a long server name is cut and told apart by a hash (kubernetes.md R27). */
export function bootstrapNames(member: string): { job: string; service: string } {
  const dashed = member.replaceAll('.', '-');
  const hash = createHash('sha256').update(member).digest('hex').slice(0, 8);
  const short = dashed.length <= 52 ? dashed : `${dashed.slice(0, 43)}-${hash}`;
  return { job: `graval-${short}`, service: `graval-svc-${short}` };
}

/** What the Service selects, and what finds the pods of a member again. */
export function bootstrapSelector(member: string): Record<string, string> {
  return { app: 'graval', 'graval-node': member };
}

/** Service and Job, as the Kubernetes API takes them. */
export type RenderBootstrap = (
  member: string,
  request: BootstrapRequest,
  namespace: string,
) => { service: object; job: object };
