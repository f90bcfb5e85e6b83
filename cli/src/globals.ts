// Options that every command takes, before or after its name.

import type { OptionSpec } from './command.ts';

function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error('allowed: seconds, a number above 0');
  return value;
}

/** `choices` of --output are those of output.ts; they are repeated here so that `--help` loads nothing. */
export const globalOptions: readonly OptionSpec[] = [
  { flags: '--hotkey <file>', description: 'wallet file of the miner hotkey', env: 'HOTKEY' },
  {
    flags: '--miner-api <url>',
    description: 'the miner API',
    env: 'MINER_API',
    default: 'http://127.0.0.1:32000',
  },
  {
    flags: '--validator-api <url>',
    description: 'the API of the validator',
    env: 'VALIDATOR_API',
    default: 'https://api.chutes.ai',
  },
  {
    flags: '-o, --output <format>',
    description: 'how results are printed: table, wide, json, yaml or name',
    choices: ['table', 'wide', 'json', 'yaml', 'name'],
    default: 'table',
  },
  { flags: '-y, --yes', description: 'do not ask before something is destroyed' },
  { flags: '-q, --quiet', description: 'print results and errors only' },
  { flags: '--no-color', description: 'print without colours', env: 'NO_COLOR' },
  { flags: '--timeout <seconds>', description: 'give up waiting for an answer after this time', parse: seconds },
  { flags: '--compat-exit', description: 'exit codes as upstream has them: only 0, 1 and 2' },
  { flags: '--debug', description: 'print where an error came from' },
];
