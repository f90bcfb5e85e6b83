// Entry point of the one image: `main.ts <role> [options]`. Exit code 2 for anything wrong in options or configuration.

import { parseArgs } from 'node:util';
import { MinerError, messageOf } from './domain/errors.ts';
import { runAll } from './roles/all.ts';

const usage = `Usage: main.ts all --dir FOLDER --hotkey FILE [options]

  --dir FOLDER       database and git repository of the embedded miner
  --hotkey FILE      wallet file of the miner's hotkey (JSON with ss58Address and secretSeed)
  --template FOLDER  what a new cluster repository is made from (default: cluster-repo-template)
  --port N           port of the miner API (default 32000)
  --clock-speed N    run the planner's clock N times faster than time (for simulations; default 1)
  --clock-epoch MS   when the fast clock agreed with the wall clock, ms since 1970
  --follow-parent    stop when the parent process is gone`;

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0)
    throw new MinerError('E-USAGE', `--${name}: found "${text}", allowed: a whole number`);
  return value;
}

function required(name: string, value: string | undefined): string {
  if (!value) throw new MinerError('E-USAGE', `--${name} is missing\n\n${usage}`);
  return value;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      dir: { type: 'string' },
      hotkey: { type: 'string' },
      template: { type: 'string' },
      port: { type: 'string', default: '32000' },
      'clock-speed': { type: 'string', default: '1' },
      'clock-epoch': { type: 'string', default: '0' },
      'follow-parent': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  if (positionals[0] !== 'all')
    throw new MinerError('E-USAGE', `role "${positionals[0] ?? ''}" is not known; allowed: all\n\n${usage}`);
  const miner = await runAll({
    dir: required('dir', values.dir),
    hotkeyFile: required('hotkey', values.hotkey),
    template: values.template,
    port: wholeNumber('port', values.port),
    clockSpeed: wholeNumber('clock-speed', values['clock-speed']),
    clockEpoch: wholeNumber('clock-epoch', values['clock-epoch']),
  });
  let stopping = false;
  async function stop(): Promise<void> {
    if (stopping) return;
    stopping = true;
    await miner.stop();
    process.exit(0);
  }
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  if (values['follow-parent']) {
    const parent = process.ppid;
    setInterval(() => process.ppid !== parent && stop(), 500).unref();
  }
}

const configurationCodes = new Set(['E-USAGE', 'E-CONFIG', 'E-HOTKEY']);

try {
  await main();
} catch (error) {
  const code = error instanceof MinerError ? error.code : error instanceof TypeError ? 'E-USAGE' : undefined;
  console.error(code ? `${code}: ${messageOf(error)}` : error);
  process.exit(code && configurationCodes.has(code) ? 2 : 1);
}
