import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { choosePython, upstreamCli } from './install.ts';

const python = (version: string) => ({ path: `/usr/bin/python${version}`, version });

const choices: [found: string[], chosen: string, ignoreRequirement: boolean][] = [
  [['3.11', '3.13', '3.12'], '3.13', false],
  [['3.14', '3.12'], '3.12', false],
  [['2.7', '3.11'], '3.11', true],
];
for (const [found, chosen, ignoreRequirement] of choices) {
  test(`of Python ${found.join(', ')} it is ${chosen}, and the package's own demand is ${ignoreRequirement ? 'ignored' : 'met'}`, () => {
    assert.equal(choosePython(found.map(python)), { python: python(chosen), ignoreRequirement });
  });
}

for (const found of [[], ['2.7', '3.10', '3.14']]) {
  test(`with Python ${found.join(', ') || 'nowhere'} the error says what is needed and what was found`, () => {
    assert.throws(() => choosePython(found.map(python)), new RegExp(`3\\.11.*python3-venv.*${found[0] ?? 'none'}`));
  });
}

test('every package is pinned', () => {
  const lines = readFileSync(new URL('./requirements.txt', import.meta.url), 'utf8')
    .trim()
    .split('\n');
  for (const line of lines)
    assert.match(line, /^[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*( ; python_version [<>=]+ "3\.\d+")?$/);
});

test('what was installed from the same pins is used as it is', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'upstream-cli-cache-'));
  const requirements = createHash('sha256')
    .update(readFileSync(new URL('./requirements.txt', import.meta.url)))
    .digest('hex');
  mkdirSync(join(folder, 'bin'));
  for (const file of ['chutes-miner', 'python']) writeFileSync(join(folder, 'bin', file), '');
  writeFileSync(join(folder, 'ready.json'), JSON.stringify({ version: '0.9.0', python: '3.11', requirements }));
  const program = join(folder, 'bin/chutes-miner');
  assert.equal(await upstreamCli(folder), { program, version: '0.9.0', python: '3.11' });
  rmSync(folder, { recursive: true });
});

test.run();
