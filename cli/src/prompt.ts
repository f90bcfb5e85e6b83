// Asks before anything is destroyed. The targets are listed first; without a person at the keyboard only --yes goes on.

import { createInterface } from 'node:readline/promises';
import { type Context, flag, text } from './command.ts';
import { CliError, usageError } from './errors.ts';

export interface Question {
  /** `delete 2 deployments`. */
  action: string;
  /** One line each. */
  targets: readonly string[];
  /** Hotkey (ss58) whose first six characters must be given too. */
  hotkey?: string;
}

export async function ask({ io }: Context, question: string): Promise<boolean> {
  const lines = createInterface({ input: io.stdin, terminal: false });
  const stop = () => lines.close();
  io.signal.addEventListener('abort', stop);
  io.stderr.write(`${question} [y/N]: `);
  try {
    // The end of the input, and Ctrl-C, are a no.
    const { value } = await lines[Symbol.asyncIterator]().next();
    return /^y(es)?$/i.test(String(value ?? '').trim());
  } finally {
    io.signal.removeEventListener('abort', stop);
    lines.close();
  }
}

function demandHotkey({ values }: Context, action: string, hotkey: string): void {
  if (flag(values, 'compatExit') && flag(values, 'yes')) return;
  const wanted = hotkey.slice(0, 6);
  const given = text(values, 'confirm');
  if (given === wanted) return;
  const found = given === undefined ? 'is missing' : `is "${given}"`;
  throw usageError(
    `to ${action}, --confirm must give the first 6 characters of the hotkey; it ${found}`,
    '`chutes-miner hotkey show` prints the hotkey',
  );
}

/** Returns when it was agreed to; throws E-ABORTED when the answer is no, E-USAGE when there is nobody to ask. */
export async function confirm(context: Context, { action, targets, hotkey }: Question): Promise<void> {
  const { io, out, values } = context;
  for (const line of [`This will ${action}:`, ...targets.map((one) => `  ${one}`)]) out.note(line);
  if (hotkey !== undefined) demandHotkey(context, action, hotkey);
  if (flag(values, 'yes')) return;
  if (!io.stdin.isTTY)
    throw usageError(`nobody is at the keyboard to ask whether to ${action}`, 'add --yes to go on without asking');
  if (await ask(context, 'Go on?')) return;
  throw new CliError('E-ABORTED', 'nothing was changed', { outcome: 'aborted' });
}
