// Names that several charts, the reference and other programs rely on.

/** Where chutes run on a GPU server, and the control plane on the control cluster. */
export const chutesNamespace = 'chutes';
/** The miner's own parts on a GPU server: apart from the chutes, so that whoever may write launch Secrets cannot read the hotkey. */
export const systemNamespace = 'chutes-system';
export const monitoringNamespace = 'monitoring';

/** User of the client certificate with which the controller reaches a GPU server (kubernetes.md 4.1). */
export const minerUser = 'miner';

export const nameLabel = 'app.kubernetes.io/name';

/** Label of a part's object and pods, and what its Service and Deployment select. */
export function labelsOf(name: string): Record<string, string> {
  return { [nameLabel]: name };
}

/** Label of the GPU verification's pods, which their network policy selects (D1). */
export const bootstrapLabel: Readonly<Record<string, string>> = { 'node-bootstrap': 'true' };

/** Every namespace has this label by itself (D3). */
export function namespaceSelector(name: string): { matchLabels: Record<string, string> } {
  return { matchLabels: { 'kubernetes.io/metadata.name': name } };
}
