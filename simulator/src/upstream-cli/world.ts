// What the upstream command line is tested against: the miner as a process (role `all`), a simulated validator and simulated GPU servers,
// put together as the demo does, but with nothing happening except what a test makes happen.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMinerApi, type MinerApi } from '@miner/cli/miner-api.ts';
import { type DemoFolder, openFolder } from '../demo/folder.ts';
import { type MinerProcess, startMiner } from '../demo/miner-process.ts';
import { minerYaml, prepareRun } from '../demo/runstate.ts';
import { type DemoWorld, startWorld } from '../demo/world.ts';
import { hotkeyFromSeed, type SimulatedHotkey } from '../sr25519.ts';
import { type UpstreamRunner, upstreamRunner } from './cli.ts';
import type { UpstreamCli } from './install.ts';

export interface UpstreamWorld extends DemoWorld {
  folder: DemoFolder;
  /** Base URL of the miner API. */
  minerApi: string;
  /** Signed requests to the miner API, to see what a command did. */
  api: MinerApi;
  miner: SimulatedHotkey;
  chutesMiner: UpstreamRunner;
  /** `--hotkey` and `--miner-api`, which most commands take. */
  toMiner: readonly string[];
  /** `--hotkey` and `--validator-api`. */
  toValidator: readonly string[];
  /** Home folder of the command line. */
  home: string;
}

/** Simulated seconds per second; as in the demo. */
const speed = 120;

async function closeAll(steps: (() => unknown)[]): Promise<void> {
  for (const step of steps.reverse()) await step();
}

/** Everything is up when it resolves; `close` ends all of it and removes its files. */
export async function startUpstreamWorld(cli: UpstreamCli, servers: number): Promise<UpstreamWorld> {
  const path = mkdtempSync(join(tmpdir(), 'upstream-cli-'));
  const undo: (() => unknown)[] = [() => rmSync(path, { recursive: true, force: true })];
  try {
    const folder = await openFolder(join(path, 'run'));
    undo.push(() => folder.release());
    const options = { forMs: undefined, json: true, servers, addServers: false, seed: 1, speed, dir: undefined };
    const { state, clockEpoch } = await prepareRun({ ...options, port: undefined }, folder);
    folder.writeMinerYaml(minerYaml(folder, state));
    const process: MinerProcess = startMiner({
      folder,
      port: state.ports.api,
      clockSpeed: speed,
      clockEpoch,
      onRestart: (how) => console.error(`the miner ended (${how}) and was started again`),
    });
    undo.push(() => process.stop());
    const world = await startWorld(folder, state, clockEpoch);
    // The validator last: a miner that stops still speaks to it.
    undo.splice(-1, 0, () => world.close());
    await process.ready();
    const { secretSeed } = JSON.parse(readFileSync(folder.hotkeyFile, 'utf8')) as { secretSeed: string };
    return {
      ...world,
      folder,
      minerApi: process.url,
      api: createMinerApi(process.url, folder.miner),
      miner: hotkeyFromSeed(secretSeed.slice(2)),
      chutesMiner: upstreamRunner(cli, path),
      toMiner: ['--hotkey', folder.hotkeyFile, '--miner-api', process.url],
      toValidator: ['--hotkey', folder.hotkeyFile, '--validator-api', world.validator.url],
      home: path,
      close: () => closeAll(undo),
    };
  } catch (error) {
    // uvu does not show what a `before` throws.
    console.error(error);
    await closeAll(undo);
    throw error;
  }
}

/** Look until `seen` finds something; it may take as long as a busy machine needs. `instead` is what there was, for the message. */
export async function eventually<T>(
  what: string,
  seen: () => Promise<T | undefined> | T | undefined,
  instead: () => readonly string[] = () => [],
): Promise<T> {
  for (const until = Date.now() + 60_000; Date.now() < until; ) {
    const found = await seen();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error([`no ${what} within 60 s`, ...instead()].join('; '));
}
