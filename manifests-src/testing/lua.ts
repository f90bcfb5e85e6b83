// Runs Lua as Argo CD does: without string, math and io, and with two functions of os. For tests; needs Debian's lua5.1.

import { execFileSync } from 'node:child_process';

type Value = string | number | boolean | undefined | Value[] | { [key: string]: Value };

/** Text in which every byte is safe between double quotes. */
function quoted(text: string): string {
  const bytes = [...Buffer.from(text)].map((byte) =>
    byte >= 32 && byte < 127 && byte !== 34 && byte !== 92
      ? String.fromCharCode(byte)
      : `\\${String(byte).padStart(3, '0')}`,
  );
  return `"${bytes.join('')}"`;
}

function literal(value: Value): string {
  if (value === undefined) return 'nil';
  if (typeof value === 'string') return quoted(value);
  if (typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return `{${value.map(literal).join(', ')}}`;
  return `{${Object.entries(value).map(([key, item]) => `[${quoted(key)}] = ${literal(item)}`)}}`;
}

export interface Health {
  status: string;
  message: string;
}

const sandbox = `
local write = io.write
package.loaded.os = { time = os.time, date = os.date }
getmetatable("").__index = nil
string, math, io, os, debug, coroutine, dofile, loadfile = nil
`;

/** What a health script says of each object; the script is loaded once for each. Throws what the interpreter says of a mistake. */
export function judge(script: string, objects: readonly Value[]): Health[] {
  const calls = objects.map((object) => `run(${literal(object)})`).join('\n');
  const program = `
local check = assert(loadstring(${quoted(script)}))
${sandbox}
local function run(object)
  obj = object
  local health = check()
  write(health.status, "\\t", health.message, "\\n")
end
${calls}
`;
  let output: string;
  try {
    output = execFileSync('lua5.1', ['-'], { input: program, encoding: 'utf8', timeout: 20_000 });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw new Error('lua5.1 is not installed: apt-get install lua5.1');
    throw error;
  }
  return output
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [status = '', message = ''] = line.split('\t');
      return { status, message };
    });
}
