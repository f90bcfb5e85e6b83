// Role `all`: the whole miner in one process, for the demo, tests and trying out. PGlite, an in-process bus and a bare repository on disk;
// validators and member clusters are reached over the network as in production.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderChute } from '@miner/manifests/charts/chute.ts';
import pino from 'pino';
import { createApi } from '../api/server.ts';
import { createInProcessBus } from '../bus/inprocess.ts';
import { openClusterRepo } from '../clusterrepo/clusterrepo.ts';
import { scaledClock } from '../domain/clock.ts';
import type { ServerConfig, ValidatorConfig } from '../domain/config.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import type { StoredDecision, ValidatorClient } from '../domain/ports.ts';
import { systemRandom } from '../domain/random.ts';
import { handleEvent } from '../gepetto/events.ts';
import { runPass } from '../gepetto/pass.ts';
import { emptyMemory } from '../gepetto/world.ts';
import { openMembers } from '../kubernetes/members.ts';
import { loadHotkey } from '../signing/hotkey.ts';
import { openStore } from '../store/open.ts';
import { createValidatorClient } from '../validator/client.ts';
import { createFeeds } from '../validator/feeds.ts';
import { connectSocket } from '../validator/socket.ts';
import { addNode, deleteNode, fetchKubeconfig } from '../verification/graval.ts';
import { createInventory } from './inventory.ts';
import { createLauncher } from './launcher.ts';
import { createLook, type Hints } from './look.ts';
import { startLoop } from './loop.ts';
import { type Status, statusOf } from './status.ts';
import { sweepSecrets } from './sweep.ts';

export interface AllOptions {
  /** Holds `repository.git` and `db`. */
  dir: string;
  hotkeyFile: string;
  template: string | undefined;
  port: number;
  clockSpeed: number;
  clockEpoch: number;
}

export interface RunningMiner {
  url: string;
  stop(): Promise<void>;
}
