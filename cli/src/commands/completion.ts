// `completion`: the script that makes a shell ask us, on stdout or put where the shell looks for it.

import { mkdir, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { bashScript } from '../bash-completion.ts';
import { type CommandModule, type Context, flag, type Io } from '../command.ts';
import { usageError } from '../errors.ts';

const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

function shellOf(given: string | undefined, io: Io): Shell {
  const name = given ?? io.env.SHELL?.split('/').at(-1) ?? '';
  const shell = shells.find((one) => one === name);
  if (shell) return shell;
  throw usageError(`the shell "${name}" is not known; allowed: ${shells.join(', ')}`);
}

/** Where the shell loads it from by itself. */
function fileOf(shell: Shell, io: Io): string {
  const home = io.env.HOME || homedir();
  const data = io.env.XDG_DATA_HOME || join(home, '.local/share');
  const config = io.env.XDG_CONFIG_HOME || join(home, '.config');
  if (shell === 'bash') return join(data, 'bash-completion/completions/chutes-miner');
  return shell === 'fish' ? join(config, 'fish/completions/chutes-miner.fish') : join(home, '.zfunc/_chutes-miner');
}

async function scriptFor(shell: Shell): Promise<string> {
  if (shell === 'bash') return bashScript;
  // The library prints; the script is wanted as text.
  const { RootCommand } = await import('@bomb.sh/tab');
  const { log } = console;
  let script = '';
  console.log = (text: string) => {
    script += `${text}\n`;
  };
  try {
    new RootCommand().setup('chutes-miner', 'chutes-miner', shell);
  } finally {
    console.log = log;
  }
  return script;
}

async function run(context: Context): Promise<undefined> {
  const { io, args, values, out } = context;
  const shell = shellOf(args[0], io);
  const script = await scriptFor(shell);
  if (!flag(values, 'install')) {
    io.stdout.write(script);
    return;
  }
  const file = fileOf(shell, io);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, script);
  out.line(`${shell} completion installed in ${file}`);
  if (shell === 'zsh')
    out.note('add to ~/.zshrc if it is not there:  fpath+=~/.zfunc; autoload -Uz compinit && compinit');
  else out.note('it works in the next shell you open');
}

export const command: CommandModule = {
  arguments: [{ name: '[shell]', description: `${shells.join(', ')} (default: that of $SHELL)` }],
  options: [{ flags: '--install', description: 'put it where the shell loads it from (as --install-completion does)' }],
  examples: [
    'completion bash > /etc/bash_completion.d/chutes-miner',
    'source <(chutes-miner completion zsh)',
    'completion fish --install',
  ],
  run,
};
