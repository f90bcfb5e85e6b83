import { Readable } from 'node:stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { linesOf } from './lines.ts';

async function read(chunks: readonly string[]): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of linesOf(Readable.from(chunks.map((chunk) => Buffer.from(chunk))))) lines.push(String(line));
  return lines;
}

for (const [title, chunks, lines] of [
  ['several lines in one chunk', ['a\nb\n'], ['a', 'b']],
  ['a line over several chunks', ['a', 'b', 'c\nd\n'], ['abc', 'd']],
  ['a line feed at the start of a chunk', ['a', '\nb\n'], ['a', 'b']],
  ['an empty line', ['\n\na\n'], ['', '', 'a']],
  ['a last line without its line feed', ['a\nb'], ['a', 'b']],
  ['no input', [], []],
] as const) {
  test(`${title} is read whole`, async () => {
    assert.equal(await read(chunks), lines);
  });
}

test.run();
