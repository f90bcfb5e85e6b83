// The Store over an open database, whichever driver opened it.

import type { Store } from '../domain/ports.ts';
import { auditStore } from './audit.ts';
import { chuteStore } from './chutes.ts';
import type { OpenDatabase } from './database.ts';
import { decisionStore } from './decisions.ts';
import { eventStore } from './events.ts';
import { withStoreErrors } from './failures.ts';
import { leaseStore } from './leases.ts';
import { lifecycleStore } from './lifecycles.ts';
import { serverStore } from './servers.ts';
import { upkeep } from './upkeep.ts';
import { verificationStore } from './verifications.ts';

/** Every function rejects with a MinerError: E-ALREADY-ADDED where the interface says so, else E-STORE. */
export function storeOn({ db, close, limit }: OpenDatabase): Store {
  const functions = {
    ...serverStore(db),
    ...chuteStore(db),
    ...lifecycleStore(db),
    ...decisionStore(db),
    ...eventStore(db),
    ...auditStore(db),
    ...leaseStore(db),
    ...upkeep(db),
    ...verificationStore(db),
  };
  // Closing has a limit of its own: it waits for what is still running.
  return { ...withStoreErrors(functions, limit), ...withStoreErrors({ close }) };
}
