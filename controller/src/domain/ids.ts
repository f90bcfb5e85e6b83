// Identifiers that end up in names and host paths are checked before they get there (reference/kubernetes.md R32).

import { createHash } from 'node:crypto';

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const gpuIdPattern = /^[0-9a-f]{32}$/;
const serverNamePattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export function isUuid(text: string): boolean {
  return uuidPattern.test(text);
}

/** GPU ids are 32 hex digits without dashes on the wire and in the store. */
export function isGpuId(text: string): boolean {
  return gpuIdPattern.test(text);
}

/** A server's name is also its Kubernetes node name, its kubeconfig context and a folder in git. */
export function isServerName(text: string): boolean {
  return serverNamePattern.test(text);
}

/** `GPU-` and the dashed form, as the NVIDIA runtime wants it. */
export function gpuEnvId(gpuId: string): string {
  return `GPU-${gpuId.slice(0, 8)}-${gpuId.slice(8, 12)}-${gpuId.slice(12, 16)}-${gpuId.slice(16, 20)}-${gpuId.slice(20)}`;
}

const oidNamespace = Buffer.from('6ba7b8129dad11d180b400c04fd430c8', 'hex');

/** UUID version 5 in the OID namespace: the name of a code ConfigMap is made of `<chute id>::<version>` (protocol.md 9). */
export function uuid5(name: string): string {
  const bytes = createHash('sha1').update(oidNamespace).update(name).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
