// One call of the program: from its words to an exit code. Never throws; no stack is printed without --debug, and never key material.

import { CommanderError } from 'commander';
import type { Io } from './command.ts';
import { asCliError, type CliError, compatExit, exitCodes, usageError } from './errors.ts';
import { type Chosen, createProgram } from './program.ts';
import { version } from './version.ts';

function printError({ io, debug }: { io: Io; debug: boolean }, error: CliError): void {
  io.stderr.write(`error: ${error.message} [${error.code}]\n`);
  if (error.hint) io.stderr.write(`hint: ${error.hint}\n`);
  if (!debug) return;
  // Frames only: messages of causes may quote what they failed on.
  for (let one: unknown = error; one instanceof Error; one = one.cause) {
    const frames = (one.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
    io.stderr.write(`${one.name}\n${frames.join('\n')}\n`);
  }
}

/** Commander's own words for what was wrong, as one of our errors. */
function usageOf(error: CommanderError): CliError {
  const [message = '', hint] = error.message.replace(/^error: /, '').split('\n');
  return usageError(message, hint?.replace(/^\(|\)$/g, '') || 'chutes-miner --help lists commands and options');
}

/** `--install-completion` and `--show-completion` take the place of a command. */
function completionRequest(argv: readonly string[]): string[] | undefined {
  const at = argv.findIndex((word) => /^--(install|show)-completion(=|$)/.test(word));
  if (at === -1) return undefined;
  const [option = '', given] = (argv[at] ?? '').split('=');
  const next = argv[at + 1];
  const shell = given ?? (next && !next.startsWith('-') ? next : undefined);
  return ['completion', ...(shell ? [shell] : []), ...(option === '--install-completion' ? ['--install'] : [])];
}

async function choose(argv: readonly string[], io: Io): Promise<Chosen | number> {
  let chosen: Chosen | undefined;
  const program = await createProgram(argv, {
    io,
    version,
    onChosen(one) {
      chosen = one;
    },
  });
  if (argv.length === 0) {
    program.outputHelp();
    return exitCodes.done;
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0 || error.code === 'commander.help') return exitCodes.done;
    throw usageOf(error);
  }
  return chosen ?? exitCodes.done;
}

export async function run(given: readonly string[], io: Io): Promise<number> {
  const argv = completionRequest(given) ?? given;
  const debug = argv.includes('--debug');
  const isCompatible = argv.includes('--compat-exit');
  let onAbort: 0 | 1 = 0;
  let interruptHint: string | undefined;
  function interrupted(): number {
    io.stderr.write(`interrupted${interruptHint ? `: ${interruptHint}` : ''}\n`);
    return exitCodes.interrupted;
  }
  try {
    if (argv[0] === 'complete' && argv[1] === '--') {
      const { answerCompletion } = await import('./complete.ts');
      await answerCompletion(argv.slice(2), io);
      return exitCodes.done;
    }
    const chosen = await choose(argv, io);
    if (typeof chosen === 'number') return chosen;
    onAbort = chosen.module.onAbort ?? 0;
    const { createContext } = await import('./context.ts');
    const context = createContext({
      io,
      args: chosen.args,
      values: chosen.values,
      onInterrupt(hint) {
        interruptHint = hint;
      },
    });
    const code = (await chosen.module.run(context)) ?? exitCodes.done;
    return io.signal.aborted ? interrupted() : code;
  } catch (thrown) {
    if (io.signal.aborted) return interrupted();
    const error = asCliError(thrown);
    printError({ io, debug }, error);
    return isCompatible ? compatExit(error.outcome, onAbort) : exitCodes[error.outcome];
  }
}
