// What a role is to the entry point: its options with their help, and how it starts. Roles are loaded only when they are asked for.

import type { ParseArgsConfig } from 'node:util';
import { MinerError } from '../domain/errors.ts';

export type OptionValues = Readonly<Record<string, string | boolean | undefined>>;

export interface RunningRole {
  /** Ends everything the role started; called once, on SIGINT or SIGTERM. */
  stop(): Promise<void>;
}

export interface Role {
  /** One line: what it does and where it runs. */
  summary: string;
  /** One line for each option, as `--help` prints them. */
  help: string;
  options: NonNullable<ParseArgsConfig['options']>;
  /**
   * Resolves when it is up; undefined for a role that ran to its end. Rejects with E-USAGE, E-CONFIG or E-HOTKEY (exit code 2) before
   * anything is started.
   */
  start(values: OptionValues): Promise<RunningRole | undefined>;
}

export function wholeNumber(values: OptionValues, name: string): number {
  const value = values[name] === '' ? Number.NaN : Number(values[name]);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new MinerError('E-USAGE', `--${name}: found "${values[name]}", allowed: a whole number`);
}

/** Throws E-USAGE; 0 is any free port. */
export function portNumber(values: OptionValues, name: string): number {
  const value = values[name] === '' ? Number.NaN : Number(values[name]);
  if (Number.isInteger(value) && value >= 0 && value <= 65_535) return value;
  throw new MinerError('E-USAGE', `--${name}: found "${values[name]}", allowed: a port, 0 to 65535`);
}

/** Throws E-USAGE for what is no http or https URL. */
export function httpUrl(values: OptionValues, name: string): string {
  const url = required(values, name);
  if (URL.canParse(url) && /^https?:/.test(url)) return url;
  throw new MinerError('E-USAGE', `--${name}: found "${url}", allowed: an http or https URL`);
}

export function required(values: OptionValues, name: string): string {
  const value = values[name];
  if (typeof value === 'string' && value !== '') return value;
  throw new MinerError('E-USAGE', `--${name} is missing`);
}

/** Undefined when the option was not given. */
export function optional(values: OptionValues, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}
