// A strategy file that somebody named on the command line.

import { readFile } from 'node:fs/promises';
import { usageError } from './errors.ts';

/** Its text; it is run nowhere but in a process of its own. Rejects with E-USAGE. */
export async function readStrategy(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw usageError(`--strategy: ${file} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}
