// The demo's command line.

import { Command, InvalidArgumentError, Option } from 'commander';

export interface DemoOptions {
  /** Wall-clock ms to run; undefined = until Ctrl-C. */
  forMs: number | undefined;
  json: boolean;
  /** GPU servers of the simulated cluster. */
  servers: number;
  /** False: the servers wait to be added by an outside client. */
  addServers: boolean;
  seed: number;
  /** Simulated seconds per second. */
  speed: number;
  /** Folder of the run; undefined = a new one under `.demo/`. */
  dir: string | undefined;
  /** Port of the miner API; undefined = a free one. */
  port: number | undefined;
}

function duration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  if (!match) throw new InvalidArgumentError('allowed: a number with s, m or h, for example 60s');
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] ?? 's'] ?? 1000;
  return Number(match[1]) * unit;
}

function whole(min: number, max: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new InvalidArgumentError(`allowed: a whole number from ${min} to ${max}`);
    }
    return value;
  };
}

/** Exits with code 2 and one clear message on a wrong option. */
export function parseOptions(argv: readonly string[]): DemoOptions {
  const command = new Command('npm run demo --')
    .description(
      'Runs the whole miner on this machine: a simulated validator and simulated GPU servers, and the real control plane between them.\n' +
        'Decisions become commits in a git repository that you can read while it runs.',
    )
    .addOption(
      new Option('--for <duration>', 'stop after this wall-clock time, for example 60s or 5m').argParser(duration),
    )
    .option('--json', 'print one JSON object per line instead of the live table', false)
    .addOption(new Option('--servers <n>', 'GPU servers in the simulated cluster').argParser(whole(1, 1000)).default(3))
    .option('--no-servers', 'start with an empty inventory; the servers wait to be added by an outside client')
    .addOption(
      new Option('--seed <n>', 'seed of everything that is random in the simulation')
        .argParser(whole(0, 2 ** 31))
        .default(1),
    )
    .addOption(new Option('--speed <n>', 'simulated seconds per second').argParser(whole(1, 600)).default(120))
    .option('--dir <path>', 'folder of the run; an earlier run in it goes on (default: a new folder under .demo/)')
    .addOption(new Option('--port <n>', 'port of the miner API (default: a free one)').argParser(whole(1, 65535)))
    .addHelpText(
      'after',
      '\nExamples:\n  npm run demo                          watch it until Ctrl-C\n' +
        '  npm run demo -- --for 60s --json      one minute, for scripts\n' +
        '  npm run demo -- --servers 20 --speed 30',
    )
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
    // Commander lets the later of `--servers 5` and `--no-servers` win; here both count, in any order.
    .parse(
      argv.filter((argument) => argument !== '--no-servers'),
      { from: 'user' },
    );
  const given = command.opts();
  return {
    forMs: given.for,
    json: given.json,
    servers: given.servers,
    addServers: !argv.includes('--no-servers'),
    seed: given.seed,
    speed: given.speed,
    dir: given.dir,
    port: given.port,
  };
}
