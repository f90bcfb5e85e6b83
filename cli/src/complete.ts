// Answers a shell that completes a line: commands, options, and the names of what there is. Says nothing rather than something wrong.

import { RootCommand } from '@bomb.sh/tab';
import type { Command } from 'commander';
import type { CommandModule, Io } from './command.ts';
import { globalOptions } from './globals.ts';
import { createProgram } from './program.ts';
import { entries } from './registry.ts';
import { readSuggestions, type Suggestions } from './suggestions.ts';

type Kind = keyof Suggestions;

/** What the value of an option is the name of. */
const optionKinds: Readonly<Record<string, Kind>> = {
  name: 'servers',
  'node-id': 'servers',
  'context-name': 'servers',
  'deployment-id': 'deployments',
  'gpu-short-ref': 'gpuRefs',
};

const argumentKinds: Readonly<Record<string, readonly Kind[]>> = {
  name: ['servers'],
  'deployment-id': ['deployments'],
  what: ['servers', 'chutes', 'deployments'],
};

type Complete = (value: string, description: string) => void;

function offer(suggestions: Suggestions, kinds: readonly Kind[]) {
  return (complete: Complete) => {
    for (const kind of kinds) for (const value of suggestions[kind]) complete(value, '');
  };
}

/** Every command with its options, by its words. */
async function allCommands(io: Io): Promise<Map<string, Command>> {
  const words = entries.flatMap(({ path, alias }) => [...path, ...(alias ? [alias] : [])]);
  const program = await createProgram(words, { io, version: '', onChosen: () => undefined });
  const found = new Map<string, Command>([['', program]]);
  for (const command of program.commands) {
    found.set(command.name(), command);
    for (const sub of command.commands) found.set(`${command.name()} ${sub.name()}`, sub);
  }
  return found;
}

function choicesOf(long: string, modules: readonly CommandModule[]): readonly string[] {
  const specs = [...globalOptions, ...modules.flatMap(({ options = [] }) => options)];
  return specs.find(({ flags }) => flags.includes(long))?.choices ?? [];
}

/** `words` are those after the program's name; the last one is being typed. */
export async function answerCompletion(words: readonly string[], io: Io): Promise<void> {
  const [commands, suggestions] = await Promise.all([allCommands(io), readSuggestions(words, io)]);
  const root = new RootCommand();
  const globals = commands.get('')?.options ?? [];
  for (const [path, command] of commands) {
    const target = path === '' ? root : root.command(path, command.description());
    for (const option of new Set([...command.options, ...globals])) {
      const long = option.long?.slice(2) ?? '';
      const takesValue = option.required || option.optional;
      const kind = optionKinds[long];
      const choices = choicesOf(`--${long}`, []);
      const handler = (complete: Complete) => {
        for (const choice of choices) complete(choice, '');
        if (kind) offer(suggestions, [kind])(complete);
      };
      const short = option.short?.slice(1);
      if (takesValue) target.option(long, option.description, handler, short);
      else target.option(long, option.description, short);
    }
    for (const { name, variadic, argChoices } of command.registeredArguments.map((one) => ({
      name: one.name(),
      variadic: one.variadic,
      argChoices: one.argChoices,
    }))) {
      const kinds = argumentKinds[name];
      if (kinds) target.argument(name, offer(suggestions, kinds), variadic);
      else target.argument(name, (complete) => argChoices?.forEach((choice) => void complete(choice, '')), variadic);
    }
  }
  root.parse([...words]);
}
