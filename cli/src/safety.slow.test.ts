// Nothing is destroyed unasked, nothing is left half told at Ctrl-C, and no key material is ever printed.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { prepare, type TestContext } from './testing/context.ts';
import { deployment, server } from './testing/shapes.ts';
import { miner, type Upstream } from './testing/upstream.ts';

const test = suite<TestContext>('safety');
prepare(test);

const destructive: [args: string, path: string][] = [
  ['delete-node --name gpu-0', '/servers/gpu-0'],
  ['purge-deployments --confirm 5Grwva', '/deployments/purge'],
  ['purge-server -n gpu-0', '/servers/gpu-0/deployments'],
  ['delete-remote --name gpu-0', '/servers/gpu-0'],
];

function answerReads({ on }: Upstream): void {
  on('GET /servers/', [server()]);
  on('GET /servers/gpu-0/delete_preflight', { jobs: [deployment({ job_id: 'job-1' })] });
}

for (const [args, path] of destructive) {
  test(`${args} lists what it hits, asks, and does nothing on a no or without anybody to ask`, async ({
    upstream,
    cli,
  }) => {
    answerReads(upstream);
    upstream.on(`DELETE ${path}`, { status: 'done' });
    const deletions = () => upstream.requests.filter(({ request }) => request.startsWith('DELETE'));
    const unattended = await cli(args);
    assert.is(unattended.code, 2);
    assert.match(unattended.stderr, /add --yes/);
    const refused = await cli(args, { types: 'n\n' });
    assert.is(refused.code, 9);
    assert.match(refused.stderr, /gpu-0[\s\S]*Go on\? \[y\/N\][\s\S]*\[E-ABORTED\]/);
    assert.is(refused.stdout, '');
    assert.is((await cli(args, { types: '' })).code, 9, 'the end of the input is a no');
    assert.is((await cli(`${args} --compat-exit`, { types: 'n\n' })).code, 0);
    assert.is(deletions().length, 0);
    assert.is((await cli(args, { types: 'y\n' })).code, 0);
    assert.is(deletions().length, 1);
  });
}

test('delete-node names the jobs that would be broken off', async ({ upstream, cli }) => {
  answerReads(upstream);
  const { stderr } = await cli('delete-node --name gpu-0', { types: 'n\n' });
  assert.match(stderr, /llama \(3f1c2f9e-.*\), runs a job/);
});

for (const args of ['purge-deployments --yes', 'scorch-remote --yes', 'purge-deployments --yes --confirm 5Gxxxx']) {
  test(`${args} needs the start of the hotkey, or --compat-exit`, async ({ upstream, cli }) => {
    answerReads(upstream);
    upstream.on('GET /miner/servers/', { servers: [] });
    upstream.on('DELETE /deployments/purge', { status: 'initiated', deployments_purged: [] });
    const { code, stderr } = await cli(args);
    assert.is(code, 2);
    assert.match(stderr, /--confirm must give the first 6 characters/);
    assert.is((await cli(`${args} --compat-exit`)).code, 0);
  });
}

test('Ctrl-C ends with 130 and says how to go on', async ({ upstream, cli }) => {
  const stop = new AbortController();
  upstream.on('GET /miner/instance_logs', (_request, response) => {
    response.write('data: {"log":"one","cursor":"2026-01-31T12:00:01"}\n\n');
  });
  const { code, stderr, stdout } = await cli('instance-logs -j T', {
    signal: stop.signal,
    onOutput: () => stop.abort(),
  });
  assert.is(code, 130);
  assert.is(stdout, 'one\n');
  assert.match(stderr, /interrupted: go on with --cursor 2026-01-31T12:00:01/);
});

const phrase = 'bottom drive obey lake curtain smoke basket hold race lonely fit walk';
const hotkeys: [what: string, content: object][] = [
  ['without any key', { ss58Address: miner.address, secretPhrase: phrase }],
  [
    'with a seed of another key',
    { ss58Address: miner.address, secretSeed: `0x${'11'.repeat(32)}`, secretPhrase: phrase },
  ],
  ['with half a seed', { ss58Address: miner.address, secretSeed: miner.seed.slice(32), secretPhrase: phrase }],
];

for (const [what, content] of hotkeys) {
  test(`a hotkey file ${what} ends with 1 and shows no key material, not even with --debug`, async ({
    cli,
    folder,
  }) => {
    const path = join(folder, 'other');
    writeFileSync(path, JSON.stringify(content));
    const { code, stderr, stdout } = await cli('local-inventory --debug', { env: { HOTKEY: path } });
    assert.is(code, 1);
    assert.match(stderr, /\[E-HOTKEY\]/);
    assert.match(stderr, /^\s+at /m);
    for (const secret of [phrase, '11'.repeat(32), miner.seed.slice(32)])
      assert.not(`${stdout}${stderr}`.includes(secret));
  });
}

/** The expanded secret of the same key, as wallets keep it beside the seed. */
const expanded =
  '33a6f3093f158a7109f679410bef1a0c54168145e0cecb4df006c1c2fffb1f09925a225d97aa00682d6a59b95b18780c10d7032336e88f3442b42361f4a66011';
const forms: [what: string, content: object][] = [
  ['secretSeed', { ss58Address: miner.address, secretSeed: `0x${miner.seed}`, privateKey: `0x${expanded}` }],
  ['only privateKey', { ss58Address: miner.address, privateKey: `0x${expanded}`, cryptoType: 1 }],
];

for (const [what, content] of forms) {
  test(`a hotkey file with ${what} signs so that others can verify it`, async ({ cli, folder, upstream }) => {
    const path = join(folder, 'other');
    writeFileSync(path, JSON.stringify(content), { mode: 0o600 });
    upstream.on('GET /servers/', []);
    upstream.on('GET /miner/servers/', { servers: [] });
    upstream.on('GET /miner/inventory', []);
    assert.is((await cli(`local-inventory --hotkey ${path}`, { env: { HOTKEY: '' } })).code, 0);
    assert.is((await cli(`remote-inventory --hotkey ${path}`)).code, 0);
    const signed = upstream.requests.map((one) => one.signed);
    assert.equal(signed, ['management', 'miner', 'miner']);
  });
}

test('hotkey show prints the public half only', async ({ cli }) => {
  const { stdout } = await cli('hotkey show');
  assert.is(stdout, `${miner.address}\n`);
  const json = await cli('hotkey show -o json');
  assert.is(JSON.parse(json.stdout).ss58_address, miner.address);
  assert.not(json.stdout.includes(miner.seed));
});

test.run();
