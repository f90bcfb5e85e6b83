// Order in which Argo CD applies what is no chute (R19): lower first.

const wave = 'argocd.argoproj.io/sync-wave';

const waves = {
  namespace: -3,
  access: -2,
  settings: -1,
  store: 0,
  workload: 1,
} as const;

/** Annotation that puts an object into its place. */
export function inWave(kind: keyof typeof waves): Record<string, string> {
  return { [wave]: String(waves[kind]) };
}

/** Argo CD leaves the object alone when it is no longer in git: it holds data. */
export const keepData: Readonly<Record<string, string>> = {
  'argocd.argoproj.io/sync-options': 'Prune=false,Delete=false',
};
