// Where a new cluster repository comes from, and whether the one there is can be run with.

import { fileURLToPath } from 'node:url';
import { MinerError } from '../domain/errors.ts';
import type { ClusterRepo, MainTree } from '../domain/ports.ts';

export const ownTemplate = fileURLToPath(new URL('../../../cluster-repo-template', import.meta.url));

/** Rejects with E-CONFIG or E-HOTKEY. A mistake pushed while the miner was away is no reason to stay away, as long as an earlier configuration of this miner is good. */
export async function demandConfiguration(
  repo: Pick<ClusterRepo, 'readMain' | 'readLastGoodMain'>,
  address: string,
): Promise<void> {
  try {
    demandOwnHotkey(await repo.readMain(), address);
  } catch (error) {
    if (!(error instanceof MinerError && error.code === 'E-CONFIG')) throw error;
    if ((await repo.readLastGoodMain()).config.hotkey !== address) throw error;
  }
}

function demandOwnHotkey(main: MainTree, address: string): void {
  if (main.config.hotkey === address) return;
  throw new MinerError(
    'E-HOTKEY',
    `miner.yaml: hotkey: found ${main.config.hotkey}, but the hotkey file is that of ${address}`,
  );
}
