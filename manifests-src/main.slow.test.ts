// `cdk8s synth` and `npm run synth` as programs: whole repositories of 1, 10 and 100 servers, and what they refuse.

import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { imageValues } from '@miner/controller/domain/values/images.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const root = fileURLToPath(new URL('..', import.meta.url));
const template = join(root, 'cluster-repo-template');
const dir = mkdtempSync(join(tmpdir(), 'synth-'));
test.after(() => rmSync(dir, { recursive: true, force: true }));

function run(command: string, ...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd: root, timeout: 120_000, maxBuffer: 1e8 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, output: stdout + stderr }),
    );
  });
}
const synth = (...args: string[]) => run(process.execPath, 'manifests-src/main.ts', ...args);

function repository(servers: number): string {
  const folder = join(dir, `repo-${servers}`);
  cpSync(template, folder, { recursive: true });
  const example = readFileSync(join(template, 'servers/example.yaml'), 'utf8');
  for (let n = 1; n <= servers; n++) {
    const text = example.replace('name: example', `name: gpu-${n}`).replace('192.0.2.10', `gpu-${n}.example`);
    writeFileSync(join(folder, 'servers', `gpu-${n}.yaml`), text);
  }
  return folder;
}

const filesIn = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.yaml'))
    .sort();

for (const servers of [1, 10, 100])
  test(`a repository of ${servers} servers is rendered into the layout of branch live`, async () => {
    const out = join(dir, `out-${servers}`);
    const { code, output } = await synth('--repo', repository(servers), '--out', out);
    assert.is(code, 0, output);
    const files = filesIn(out);
    assert.is(files.filter((path) => /^members\/gpu-\d+\/miner-gpu\/agent\.yaml$/.test(path)).length, servers);
    assert.ok(output.startsWith(`${files.length} files for ${servers} servers in ${out}\n`));
    assert.equal([...new Set(files.map((path) => path.split('/')[0]))], ['argocd', 'control', 'members']);
  });

test('the command of cdk8s renders the same', async () => {
  const [theirs, ours] = ['cdk8s', 'ours'].map((name) => join(dir, name));
  const { code, output } = await run(join(root, 'node_modules/.bin/cdk8s'), 'synth', '-o', theirs ?? '');
  assert.is(code, 0, output);
  await synth('--out', ours ?? '');
  assert.equal(filesIn(theirs ?? ''), filesIn(ours ?? ''));
  for (const path of filesIn(ours ?? ''))
    assert.is(readFileSync(join(theirs ?? '', path), 'utf8'), readFileSync(join(ours ?? '', path), 'utf8'), path);
});

test('with --pinned each image needs its digest, and nothing is written while one is without', async () => {
  const out = join(dir, 'pinned');
  const refused = await synth('--pinned', '--out', out);
  assert.is(refused.code, 2);
  assert.match(
    refused.output,
    /^images\.yaml: miner, .*found no digest, allowed: name:tag@sha256:… \(chutes-miner images pin\)\n$/,
  );
  assert.throws(() => filesIn(out), /ENOENT/);
  const repo = repository(0);
  const pinned = Object.entries(imageValues.parse({})).map(
    ([name, image]) => `${name}: ${image}@sha256:${'0'.repeat(64)}\n`,
  );
  writeFileSync(join(repo, 'images.yaml'), pinned.join(''));
  const { code, output } = await synth('--pinned', '--repo', repo, '--out', out);
  assert.is(code, 0, output);
  assert.not.match(output, /pinned by tag only/);
  const images = filesIn(out).flatMap(
    (path) => readFileSync(join(out, path), 'utf8').match(/^ *"?image"?: .*$/gm) ?? [],
  );
  assert.ok(images.length > 10);
  for (const image of images) assert.match(image, /:[^:]+@sha256:0{64}"?$/);
});

test('an option that is not known is named, and nothing is written', async () => {
  const { code, output } = await synth('--oot', join(dir, 'none'));
  assert.is(code, 2);
  assert.match(output, /--oot/);
});

test.run();
