/**
 * Seconds after which an API server is asked to end a watch, 20 to 27: the Kubernetes client itself breaks one that is silent for 30,
 * connection and all, and each new connection costs a TLS handshake.
 */
export function watchSeconds(random: () => number): number {
  return 20 + Math.floor(8 * random());
}
