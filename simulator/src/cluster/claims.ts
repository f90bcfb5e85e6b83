// Which launch configs were presented, noted before the call: the state file is written now and then, and a cluster that was killed in
// between must not claim a second time for a container that in truth ended with the kill.

import { appendFileSync, readFileSync } from 'node:fs';

export interface Claims {
  /** False if this config was presented before. */
  begin(configId: string): boolean;
}

/** Kept in memory alone without a file. */
export function openClaims(file: string | undefined): Claims {
  let known = '';
  try {
    if (file !== undefined) known = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const earlier = new Set(known.split('\n').filter(Boolean));
  return {
    begin(configId) {
      if (earlier.has(configId)) return false;
      if (file !== undefined) appendFileSync(file, `${configId}\n`);
      return true;
    },
  };
}
