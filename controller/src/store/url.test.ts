import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError } from '../domain/errors.ts';
import { type DatabaseUrlSource, databaseUrl } from './url.ts';

const folder = mkdtempSync(join(tmpdir(), 'miner-url-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

function fileOf(content: string): string {
  const file = join(folder, `${content.length}`);
  writeFileSync(file, content);
  return file;
}

const plain = 'postgres://miner:hunter2@db:5432/chutes';
const found: [string, DatabaseUrlSource, string | undefined][] = [
  ['the option', { url: plain, env: { POSTGRESQL: 'postgres://other/x' } }, plain],
  ['a file, without its line end', { file: fileOf(`${plain}\n`), env: { POSTGRESQL: 'postgres://other/x' } }, plain],
  ['the environment', { env: { POSTGRESQL: plain } }, plain],
  ['a variable of another name', { env: { OLD: plain, POSTGRESQL: 'x' }, variable: 'OLD' }, plain],
  ['a Python program', { env: { POSTGRESQL: 'postgresql+asyncpg://m:p@db/c' } }, 'postgresql://m:p@db/c'],
  ['nothing', { env: {} }, undefined],
  ['an empty variable', { env: { POSTGRESQL: '' } }, undefined],
];
for (const [where, source, url] of found) {
  test(`the database URL is taken from ${where}`, () => assert.is(databaseUrl(source), url));
}

const refused: [string, DatabaseUrlSource, string, RegExp][] = [
  ['both option and file', { url: plain, file: '/x', env: {} }, 'E-USAGE', /give one/],
  ['a missing file', { file: '/no/such/file', env: {} }, 'E-CONFIG', /\/no\/such\/file.*ENOENT/],
  ['another scheme', { url: 'mysql://miner:hunter2@db/chutes', env: {} }, 'E-CONFIG', /option.*allowed/],
  ['a scheme without host', { env: { POSTGRESQL: 'postgres:hunter2' } }, 'E-CONFIG', /POSTGRESQL.*allowed/],
  ['a file with something else', { file: fileOf('password=hunter2'), env: {} }, 'E-CONFIG', /allowed/],
  ['a URL that cannot be read', { url: 'postgres://hunter2:x y@/[', env: {} }, 'E-CONFIG', /allowed/],
];
for (const [what, source, code, message] of refused) {
  test(`${what} is refused, and the message tells no password`, () => {
    assert.throws(
      () => databaseUrl(source),
      (error: unknown) =>
        error instanceof MinerError &&
        error.code === code &&
        message.test(error.message) &&
        !inspect(error, { showHidden: true }).includes('hunter2'),
    );
  });
}

test.run();
