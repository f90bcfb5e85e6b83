// Which folders of `live` differ between two commits, by what Argo CD applies as one: `argocd`, `control`, and each server's below `chutes`
// and `members`. Only trees are read, and of equal ones nothing.

import type { Repository } from './repository.ts';
import { folderOid, type TreeEntries } from './trees.ts';

/** Top folders that hold one folder for each server. */
const byServer = new Set(['chutes', 'members']);

function differing(before: TreeEntries, after: TreeEntries): string[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => before.get(name)?.oid !== after.get(name)?.oid);
}

/** Without `from`: what its newest commit alone has changed. Sorted. */
export async function movedFolders(repository: Repository, from: string | undefined, to: string): Promise<string[]> {
  const { objects } = repository;
  const base = from ?? (await repository.parentOf(to));
  const root = async (commit: string) => objects.readTree(await repository.rootOf(commit));
  const before: TreeEntries = base === undefined ? new Map() : await root(base);
  const after = await root(to);
  const moved: string[] = [];
  for (const name of differing(before, after)) {
    if (!byServer.has(name)) moved.push(name);
    else {
      const below = async (entries: TreeEntries): Promise<TreeEntries> => {
        const oid = folderOid(entries.get(name));
        return oid === undefined ? new Map() : objects.readTree(oid);
      };
      moved.push(...differing(await below(before), await below(after)).map((server) => `${name}/${server}`));
    }
  }
  return moved.sort();
}
