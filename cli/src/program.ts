// Builds the commander program from the table. Only the commands that the command line may mean are loaded; the others are names and a
// line of help.

import { Argument, Command, Help, Option } from 'commander';
import type { ArgumentSpec, CommandModule, Io, OptionSpec, Values } from './command.ts';
import { usageError } from './errors.ts';
import { globalOptions } from './globals.ts';
import { type Entry, entries, groups } from './registry.ts';

const globalsShown = Object.assign(new Help(), { showGlobalOptions: true });
const ownOptions = new Set(['--version', '--install-completion', '--show-completion']);

export interface Chosen {
  entry: Entry;
  module: CommandModule;
  args: readonly (string | undefined)[];
  values: Values;
}

export interface ProgramOptions {
  io: Io;
  version: string;
  /** Called once, with the command that was asked for. */
  onChosen(chosen: Chosen): void;
}

function isMeant(entry: Entry, words: ReadonlySet<string>): boolean {
  return (entry.alias !== undefined && words.has(entry.alias)) || entry.path.every((word) => words.has(word));
}

function describe({ description, env, default: fallback, required }: OptionSpec): string {
  const notes = [
    ...(required ? ['required'] : []),
    ...(env ? [`env: ${env}`] : []),
    ...(fallback === undefined ? [] : [`default: ${fallback}`]),
  ];
  return notes.length === 0 ? description : `${description} (${notes.join(', ')})`;
}

function addOption(command: Command, spec: OptionSpec): void {
  const option = new Option(spec.flags, describe(spec));
  const { choices, parse } = spec;
  const name = option.attributeName();
  option.argParser((text: string) => {
    if (choices && !choices.includes(text)) {
      throw usageError(`--${option.long?.slice(2)}: found "${text}", allowed: ${choices.join(', ')}`);
    }
    return parse ? parsed(parse, text, name) : text;
  });
  command.addOption(option);
}

function parsed(parse: (text: string) => unknown, text: string, name: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw usageError(`--${dashed(name)}: found "${text}", ${error instanceof Error ? error.message : error}`);
  }
}

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Environment and defaults for what was not given; NO_COLOR counts whatever it says. */
function withDefaults(given: Values, specs: readonly OptionSpec[], env: Io['env']): Values {
  const values: Record<string, unknown> = { ...given };
  for (const spec of specs) {
    const option = new Option(spec.flags);
    const name = option.attributeName();
    if (option.negate || values[name] !== undefined) continue;
    const text = spec.env && env[spec.env];
    if (text) values[name] = spec.parse ? parsed(spec.parse, text, name) : text;
    else if (spec.default !== undefined) values[name] = spec.default;
    else if (spec.required) throw usageError(`--${dashed(name)} is missing`, spec.env && `or set ${spec.env}`);
  }
  return values;
}

function addArguments(command: Command, specs: readonly ArgumentSpec[]): void {
  for (const { name, description } of specs) command.addArgument(new Argument(name, description));
}

function exampleText(examples: readonly string[]): string {
  return ['', 'Examples:', ...examples.map((line) => `  $ chutes-miner ${line}`)].join('\n');
}

function fill(command: Command, entry: Entry, module: CommandModule, options: ProgramOptions): void {
  const { io, onChosen } = options;
  if (module.takesAnything)
    command.allowUnknownOption().allowExcessArguments().argument('[anything...]', 'is not read');
  addArguments(command, module.arguments ?? []);
  for (const spec of module.options ?? []) addOption(command, spec);
  if (entry.alias && command.name() === entry.alias && entry.path.join(' ') !== entry.alias) {
    command.addHelpText('after', `\nThe same as: chutes-miner ${entry.path.join(' ')}`);
  }
  command.addHelpText('after', exampleText(module.examples));
  command.action(() => {
    const specs = [...globalOptions, ...(module.options ?? [])];
    const values = withDefaults(command.optsWithGlobals(), specs, io.env);
    onChosen({ entry, module, args: command.args, values });
  });
}

/** Commander prints help itself; it throws CommanderError instead of ending the process. */
export async function createProgram(argv: readonly string[], options: ProgramOptions): Promise<Command> {
  const { io, version } = options;
  const words = new Set(argv);
  const program = new Command('chutes-miner')
    .description('Runs a GPU miner on chutes.ai: servers, deployments, inventory, and why the miner does what it does.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .commandsGroup('Other:')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      // Printed as our own errors are.
      outputError: () => undefined,
      getOutHelpWidth: () => Number(io.env.COLUMNS) || io.stdout.columns || 100,
      getOutHasColors: () => false,
    })
    .helpCommand('help [command]', 'Print the help of a command')
    .configureHelp({
      showGlobalOptions: true,
      // Those of the program itself are not repeated under every command.
      visibleGlobalOptions: (command) =>
        globalsShown.visibleGlobalOptions(command).filter(({ long }) => !ownOptions.has(long ?? '')),
    });
  for (const spec of globalOptions) addOption(program, spec);
  program.option('--install-completion [shell]', 'install completion for a shell (default: that of $SHELL)');
  program.option('--show-completion [shell]', 'print the completion script of a shell (default: that of $SHELL)');
  program.addHelpText('after', exampleText(['status', 'node list -o wide', 'why gpu-0', 'COMMAND --help']));

  const parents = new Map<string, Command>();
  function parentOf(entry: Entry): Command {
    const [group = ''] = entry.path;
    if (entry.path.length === 1) return program;
    const known = parents.get(group);
    if (known) return known;
    const made = program
      .command(group)
      .description(groups[group] ?? '')
      .helpGroup(entry.group);
    made.action(() => made.outputHelp());
    parents.set(group, made);
    return made;
  }

  for (const entry of entries) {
    const module = isMeant(entry, words) ? (await entry.load()).command : undefined;
    const parent = parentOf(entry);
    const command = parent.command(entry.path.at(-1) ?? '').description(entry.summary);
    if (parent === program) command.helpGroup(entry.group);
    if (module) fill(command, entry, module, options);
    if (!entry.alias) continue;
    const alias = program.command(entry.alias).description(`${entry.summary}`).helpGroup('Upstream names:');
    if (module) fill(alias, entry, module, options);
  }
  return program;
}
