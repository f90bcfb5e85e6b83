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

interface Range {
  min?: number;
  max?: number;
}

/** Throws E-USAGE for what is none between `min` (default 0) and `max`. */
export function wholeNumber(values: OptionValues, name: string, { min = 0, max }: Range = {}): number {
  const text = values[name];
  const value = text === '' ? Number.NaN : Number(text);
  if (Number.isInteger(value) && value >= min && value <= (max ?? Number.MAX_SAFE_INTEGER)) return value;
  const limits = max === undefined ? `from ${min}` : `from ${min} to ${max}`;
  throw new MinerError('E-USAGE', `--${name}: found "${text}", allowed: a whole number ${limits}`);
}

/** Throws E-USAGE; 0 is any free port. */
export function portNumber(values: OptionValues, name: string): number {
  return wholeNumber(values, name, { max: 65_535 });
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
