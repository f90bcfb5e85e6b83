// Names of Applications, which follow from the folders of `live` that they apply.

export const applicationNames = {
  argocd: 'argocd',
  control: 'control',
  members: (server: string): string => `members-${server}`,
  chutes: (server: string): string => `chutes-${server}`,
} as const;

/** The Application of a folder (`control`, `chutes/<server>`); undefined for a folder that none applies. */
export function applicationOf(folder: string): string | undefined {
  const [top = '', server, ...below] = folder.split('/');
  if (below.length > 0) return undefined;
  if (server === undefined) return top === 'argocd' || top === 'control' ? applicationNames[top] : undefined;
  return top === 'members' || top === 'chutes' ? applicationNames[top](server) : undefined;
}
