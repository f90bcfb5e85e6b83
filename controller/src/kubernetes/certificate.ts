// When the client certificate in a member's kubeconfig ends: nothing renews it, and from then on the member cannot be reached.

import { X509Certificate } from 'node:crypto';
import { KubeConfig } from '@kubernetes/client-node';

/** Time (ms) at which the certificate of the current user ends; undefined for a token, or what cannot be read. */
export function certificateEnd(kubeconfig: string): number | undefined {
  try {
    const config = new KubeConfig();
    config.loadFromString(kubeconfig);
    const { certData } = config.getCurrentUser() ?? {};
    if (certData === undefined) return undefined;
    return Date.parse(new X509Certificate(Buffer.from(certData, 'base64')).validTo);
  } catch {
    return undefined;
  }
}

/** The same for many members at every scrape: a kubeconfig is read once. */
export function createCertificateEnds(): (member: string, kubeconfig: string | undefined) => number | undefined {
  const known = new Map<string, { kubeconfig: string; end: number | undefined }>();
  return (member, kubeconfig) => {
    if (kubeconfig === undefined) {
      known.delete(member);
      return undefined;
    }
    const before = known.get(member);
    if (before?.kubeconfig === kubeconfig) return before.end;
    const end = certificateEnd(kubeconfig);
    known.set(member, { kubeconfig, end });
    return end;
  };
}
