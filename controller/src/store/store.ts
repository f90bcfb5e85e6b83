// The Store over an open database, whichever driver opened it.

import type { Store } from '../domain/ports.ts';
import { chuteStore } from './chutes.ts';
import type { OpenDatabase } from './database.ts';
import { decisionStore } from './decisions.ts';
import { withStoreErrors } from './failures.ts';
import { lifecycleStore } from './lifecycles.ts';
import { serverStore } from './servers.ts';

/** Every function rejects with a MinerError: E-ALREADY-ADDED where the interface says so, else E-STORE. */
export function storeOn({ db, close }: OpenDatabase): Store {
  return withStoreErrors({
    ...serverStore(db),
    ...chuteStore(db),
    ...lifecycleStore(db),
    ...decisionStore(db),
    close,
  });
}
