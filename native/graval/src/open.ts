import type { GravalBackend } from './backend.ts';
export interface BackendChoice {
  kind: 'auto' | 'vendor' | 'cuda' | 'cpu';
  library?: string | undefined;
}
export async function openBackend(choice: BackendChoice): Promise<GravalBackend> {
  throw new Error(choice.kind);
}
