import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseOptions } from './options.ts';

test('defaults are three servers, an hour in half a minute, until Ctrl-C', () => {
  assert.equal(parseOptions([]), {
    forMs: undefined,
    json: false,
    servers: 3,
    addServers: true,
    seed: 1,
    speed: 120,
    dir: undefined,
    port: undefined,
  });
});

test('durations take s, m, h and plain seconds', () => {
  for (const [text, ms] of [
    ['60s', 60_000],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['90', 90_000],
    ['500ms', 500],
  ] as const) {
    assert.is(parseOptions(['--for', text]).forMs, ms);
  }
});

test('--no-servers keeps the number of servers that wait, in any order', () => {
  for (const argv of [
    ['--servers', '5', '--no-servers'],
    ['--no-servers', '--servers', '5'],
  ]) {
    const { servers, addServers } = parseOptions(argv);
    assert.equal([servers, addServers], [5, false]);
  }
});

test('a wrong option ends with code 2 and says what is allowed', () => {
  const program = `import { parseOptions } from '${fileURLToPath(new URL('./options.ts', import.meta.url))}'; parseOptions(process.argv.slice(1));`;
  for (const [argv, message] of [
    [['--speed', '0'], /allowed: a whole number from 1 to 600/],
    [['--for', 'soon'], /allowed: a number with s, m or h/],
    [['--sped', '2'], /unknown option '--sped'/],
  ] as const) {
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', program, '--', ...argv], {
      encoding: 'utf8',
    });
    assert.is(run.status, 2);
    assert.match(run.stderr, message);
  }
});

test.run();
