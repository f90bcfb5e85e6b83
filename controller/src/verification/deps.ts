// What adding and deleting a node needs of the rest of the miner.

import type { Logger } from 'pino';
import type { Clock } from '../domain/clock.ts';
import type { MinerConfig } from '../domain/config.ts';
import type { ClusterRepo, Members, Store, ValidatorClient } from '../domain/ports.ts';
import type { Signer } from '../signing/sr25519.ts';
import type { Fetch } from './agent.ts';
import type { TeeGet } from './tee.ts';

export interface NodeDeps {
  signer: Signer;
  /** The configuration of now. */
  config(): { images: Pick<MinerConfig['images'], 'gravalBootstrap'> };
  /** Client for the validator with this hotkey; undefined if it is not configured. */
  validator(hotkey: string): ValidatorClient | undefined;
  members: Pick<Members, 'add' | 'remove' | 'node' | 'labelNode' | 'observe' | 'startBootstrap' | 'stopBootstrap'>;
  store: Pick<
    Store,
    | 'servers'
    | 'addServer'
    | 'updateServer'
    | 'markGpusVerified'
    | 'deleteServer'
    | 'lifecycles'
    | 'verifications'
    | 'saveVerification'
    | 'endVerification'
  >;
  repo: Pick<ClusterRepo, 'writeServer' | 'removeServer'>;
  clock: Clock;
  log: Pick<Logger, 'info' | 'warn'>;
  fetch?: Fetch | undefined;
  /** To the attestation service; default: over TLS with a certificate that proves nothing. */
  teeGet?: TeeGet | undefined;
}

/** Told to the operator while it happens, one sentence each. */
export type Progress = (message: string) => void;
