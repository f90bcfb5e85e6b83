// The roles as processes, as they are started in production: exit codes, output without secrets, a real PostgreSQL.

import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startPostgres, type TestPostgres } from '../../test/postgres.ts';
import { sha256Of } from './records.ts';
import { startNode, type TestNode } from './testing/node.ts';
import { type AuditValidator, signer, startValidator } from './testing/world.ts';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));
const seed = 'e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a';
const expanded =
  '33a6f3093f158a7109f679410bef1a0c54168145e0cecb4df006c1c2fffb1f09925a225d97aa00682d6a59b95b18780c10d7032336e88f3442b42361f4a66011';

let dir: string;
let postgres: TestPostgres;
let validator: AuditValidator;
let node: TestNode;

test.before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'audit-role-'));
  postgres = await startPostgres();
  validator = await startValidator(Date.now);
  node = await startNode();
  await writeFile(join(dir, 'hotkey'), JSON.stringify({ ss58Address: signer.address, secretSeed: `0x${seed}` }));
  await writeFile(join(dir, 'expanded'), JSON.stringify({ ss58Address: signer.address, privateKey: `0x${expanded}` }));
});
test.after(async () => {
  await node.close();
  await validator.close();
  await postgres.stop();
  await rm(dir, { recursive: true });
});

async function run(...args: string[]): Promise<{ code: number | null; output: string }> {
  // The stand-ins of this process answer it, so it must not be waited for synchronously.
  const child = spawn(process.execPath, [main, 'audit-exporter', ...args], {
    env: { ...process.env, POSTGRESQL: postgres.url },
    timeout: 120_000,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  assert.not(output.includes(seed), 'the seed was shown');
  assert.not(output.includes(expanded.slice(0, 64)), 'the key was shown');
  return { code, output };
}

const usual = () => ['--hotkey', join(dir, 'hotkey'), '--dir', join(dir, 'audit'), '--api', validator.api];

test('without a chain it keeps the report, says that it committed nothing, and uploads nothing', async () => {
  const { code, output } = await run(...usual());
  assert.is(code, 0, output);
  assert.match(output, /neither committed nor uploaded: no chain is configured/);
  assert.is((await readdir(join(dir, 'audit'))).length, 1);
  assert.is(validator.asked, 0);
});

test('with one it commits what it kept, uploads it, and has nothing to do when it is run again', async () => {
  const hour = (await readdir(join(dir, 'audit')))[0]?.slice(0, 13) ?? '';
  const args = [...usual(), '--chain', node.url, '--hour', hour];
  const { code, output } = await run(...args);
  assert.is(code, 0, output);
  const [taken, ...more] = validator.taken;
  assert.equal(more, []);
  assert.equal(
    node.commits.map(({ sha256, netuid }) => [sha256, netuid]),
    [[sha256Of(Buffer.from(taken?.body ?? '')), 64]],
  );
  assert.is(taken?.headers['x-chutes-block'], String(node.commits[0]?.block));
  assert.is((await run(...args)).code, 0);
  assert.is(validator.asked, 1);
  assert.is(node.commits.length, 1);
});

test('an upload that is refused ends it with 1 and names the hour', async () => {
  validator.statuses = [400];
  const args = ['--hotkey', join(dir, 'expanded'), '--dir', join(dir, 'other'), '--api', validator.api, '--no-chain'];
  const { code, output } = await run(...args);
  assert.is(code, 1, output);
  assert.match(output, /not finished, to be tried by the next run: \d{4}-\d\d-\d\dT\d\d \(upload: .*answered 400/);
});

const wrong: [string, string[], RegExp][] = [
  ['no hotkey', [], /E-USAGE: --hotkey is missing/],
  ['a hotkey file that is not there', ['--hotkey', '/nonexistent'], /E-HOTKEY: .*cannot be read \(ENOENT\)/],
  ['an hour that is not over', ['--hotkey', 'x', '--hour', '2999-01-01T00'], /E-USAGE: --hour: .*not over/],
  ['both ways of committing', ['--hotkey', 'x', '--chain', 'ws://x', '--no-chain'], /E-USAGE: --chain and --no-chain/],
  ['a URL that is none', ['--hotkey', 'x', '--prometheus', 'prometheus:9090'], /E-USAGE: --prometheus/],
  ['too many hours', ['--hotkey', 'x', '--backfill', '1000'], /E-USAGE: --backfill/],
];
for (const [what, args, message] of wrong) {
  test(`${what} ends it with 2`, async () => {
    const { code, output } = await run(...args);
    assert.is(code, 2, output);
    assert.match(output, message);
  });
}

test.run();
