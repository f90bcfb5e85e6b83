// What a command is: one file that says its options and examples as data and what it does. Its heavy libraries load when it runs.

import type { Signer } from '@miner/controller/signing/sr25519.ts';
import { usageError } from './errors.ts';
import type { Remote } from './http.ts';
import type { Output } from './output/output.ts';

/** The process as a command sees it; tests give their own. */
export interface Io {
  stdin: NodeJS.ReadableStream & { isTTY?: boolean };
  stdout: { write(text: string): unknown; isTTY?: boolean; columns?: number };
  stderr: { write(text: string): unknown; isTTY?: boolean };
  env: Readonly<Record<string, string | undefined>>;
  /** Aborts on Ctrl-C. */
  signal: AbortSignal;
  now(): number;
  /** From here on the command runs to its end, also when nobody reads what it prints. */
  outliveReader?(): void;
}

export interface OptionSpec {
  /** As commander reads them: `-n, --name <name>`. */
  flags: string;
  description: string;
  env?: string;
  default?: string | number | boolean;
  required?: boolean;
  choices?: readonly string[];
  /** Turns the text into a value; throws an Error whose message says what is allowed. */
  parse?(text: string): unknown;
}

export interface ArgumentSpec {
  /** `[name]` or `<name>`. */
  name: string;
  description: string;
}

export interface CommandModule {
  arguments?: readonly ArgumentSpec[];
  options?: readonly OptionSpec[];
  /** Command lines without the program's name; each command has at least one. */
  examples: readonly string[];
  /** Anything is accepted after it: the command answers the same whatever it is. */
  takesAnything?: boolean;
  /** Exit code that upstream ends with when the user says no. Default 0. */
  onAbort?: 0 | 1;
  /** Resolves with the exit code, 0 when it says nothing. Failures are thrown. */
  run(context: Context): Promise<number | undefined>;
}

export type Values = Readonly<Record<string, unknown>>;

export interface Context {
  io: Io;
  /** Words after the command. */
  args: readonly (string | undefined)[];
  /** Options by long name in camel case; environment and defaults are filled in. */
  values: Values;
  out: Output;
  signer(): Promise<Signer>;
  miner(): Promise<Remote>;
  validator(): Promise<Remote>;
  agent(url: string): Promise<Remote>;
  /** Printed when Ctrl-C ends the command: how to go on. */
  onInterrupt(hint: string): void;
}

export function text(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function flag(values: Values, name: string): boolean {
  return values[name] === true;
}

export function number(values: Values, name: string): number | undefined {
  const value = values[name];
  return typeof value === 'number' ? value : undefined;
}

/** What the command is about: the first word after it, or its option. */
export function target({ args, values }: Context, option = 'name'): string {
  const given = args[0] ?? text(values, option);
  if (!given) throw usageError(`--${option} is missing`);
  if (args[0] && text(values, option) && args[0] !== text(values, option)) {
    throw usageError(`both "${args[0]}" and --${option} ${text(values, option)} were given`);
  }
  return given;
}

/** Many commands are about one server; upstream names it by option, kubectl by word. */
export const nameArgument: ArgumentSpec = { name: '[name]', description: 'the server, instead of --name' };
export const nameOption: OptionSpec = { flags: '-n, --name <name>', description: 'name or id of the server' };
