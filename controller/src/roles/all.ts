// Role `all`: the whole miner in one process, for the demo, tests and trying out. PGlite, an in-process bus and a bare repository on disk;
// validators and member clusters are reached over the network as in production.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import pino, { type Logger } from 'pino';
import { createInProcessBus } from '../bus/inprocess.ts';
import { readConfigFolder } from '../clusterrepo/configfolder.ts';
import { scaledClock, systemClock } from '../domain/clock.ts';
import { loadHotkey } from '../signing/hotkey.ts';
import { openStore } from '../store/open.ts';
import { demandConfiguration, ownTemplate } from './configuration.ts';
import type { GepettoParts } from './gepetto.ts';
import { type GitOptions, gitHelp, gitOptions, gitUpkeepHelp, gitUpkeepOptions, readGitOptions } from './gitoptions.ts';
import { startGitUpkeep } from './gitupkeep.ts';
import { gitObstacle, gitState } from './gitwatch.ts';
import { keepingOffers } from './rentals.ts';
import { openRepository } from './repository.ts';
import { createRerenders } from './rerender.ts';
import { optional, portNumber, type Role, type RunningRole, required, wholeNumber } from './role.ts';

export interface RunningMiner extends RunningRole {
  /** Of the miner API. */
  url: string;
}

export interface AllOptions {
  /** Holds `repository.git` and `db`. */
  dir: string;
  hotkeyFile: string;
  /** What a new cluster repository is made from. */
  template: string | undefined;
  port: number;
  clockSpeed: number;
  /** ms since the Unix epoch. */
  clockEpoch: number;
  /** Where the repository lives; in the folder when not given. */
  git?: GitOptions | undefined;
  log?: Logger;
}

/** Rejects with E-CONFIG or E-HOTKEY, before anything is started or written, when what people wrote is wrong. */
export async function runAll(options: AllOptions): Promise<RunningMiner> {
  const log = options.log ?? pino();
  const signer = await loadHotkey(options.hotkeyFile);
  const template = options.template ?? ownTemplate;
  const dir = join(options.dir, 'repository.git');
  if (!existsSync(dir) && !options.git?.remote) await readConfigFolder(template);
  let lookup: Parameters<GepettoParts['onLookup']>[0] = () => undefined;
  let wake: () => void = () => undefined;
  const git = options.git ?? (await readGitOptions({}));
  const onMoved = () => wake();
  const repo = await openRepository({
    dir,
    template,
    git,
    log,
    lookup: (spec) => lookup(spec),
    onMoved,
    onProblem: onMoved,
  });
  await demandConfiguration(repo, signer.address);
  // The database comes up while the other half of the program loads.
  const [store, { startController }, { startGepetto }] = await Promise.all([
    openStore({ dir: join(options.dir, 'db') }),
    import('./controller.ts'),
    import('./gepetto.ts'),
  ]);
  const clock = scaledClock(options.clockSpeed, options.clockEpoch);
  const bus = keepingOffers(createInProcessBus({ log, retryDelayMs: 500 }), store, clock);
  const controller = await startController({
    signer,
    store,
    repo,
    bus,
    clock,
    log,
    port: options.port,
    gitState: () => gitState(repo),
  });
  const rerender = createRerenders({ repo, mayWrite: () => true, log });
  const gepetto = await startGepetto({
    hotkey: signer.address,
    rerender,
    store,
    repo,
    bus,
    link: controller.link,
    metrics: controller.metrics,
    clock,
    log,
    obstacle: () => gitObstacle(repo, systemClock),
    onLookup: (found) => {
      lookup = found;
    },
  });
  wake = () => {
    gepetto.wake();
    controller.wake();
  };
  const upkeep = startGitUpkeep({ ...git.upkeep, repo, clock: systemClock, mayWrite: () => true, log });
  return {
    url: controller.url,
    async stop() {
      await Promise.all([gepetto.stop(), upkeep.stop()]);
      await rerender.stop();
      await controller.stop();
      await repo.close();
      await store.close();
      signer.close();
    },
  };
}

export const role: Role = {
  summary:
    'The whole miner in one process, with its own database and repository in a folder: to try out, for the demo and for tests.',
  help: `  --dir FOLDER       database and git repository of the embedded miner
  --hotkey FILE      wallet file of the miner's hotkey (JSON with ss58Address and secretSeed)
  --template FOLDER  what a new cluster repository is made from (default: cluster-repo-template)
  --port N           port of the miner API (default 32000)
  --clock-speed N    run the planner's clock N times faster than time (for simulations; default 1)
  --clock-epoch MS   when the fast clock agreed with the wall clock, ms since 1970
  --follow-parent    stop when the parent process is gone
${gitHelp}
${gitUpkeepHelp}`,
  options: {
    dir: { type: 'string' },
    hotkey: { type: 'string' },
    template: { type: 'string' },
    port: { type: 'string', default: '32000' },
    'clock-speed': { type: 'string', default: '1' },
    'clock-epoch': { type: 'string', default: '0' },
    'follow-parent': { type: 'boolean', default: false },
    ...gitOptions,
    ...gitUpkeepOptions,
  },
  start: async (values) =>
    runAll({
      git: await readGitOptions(values),
      dir: required(values, 'dir'),
      hotkeyFile: required(values, 'hotkey'),
      template: optional(values, 'template'),
      port: portNumber(values, 'port'),
      clockSpeed: wholeNumber(values, 'clock-speed', { min: 1 }),
      clockEpoch: wholeNumber(values, 'clock-epoch'),
    }),
};
