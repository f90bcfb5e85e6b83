// The commands of the template's workflow, run as they are on a copy of the template: a good change passes, a bad one is named.

import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chute, makeTrace, server } from '@miner/simulator/trace/testing.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { z } from 'zod';

const root = fileURLToPath(new URL('..', import.meta.url));
const template = join(root, 'cluster-repo-template');
const workflow = z
  .object({
    on: z.object({ pull_request: z.object({ branches: z.array(z.string()) }) }),
    permissions: z.record(z.string(), z.string()),
    jobs: z.object({
      check: z.object({
        steps: z.array(z.object({ name: z.string(), run: z.string().optional(), uses: z.string().optional() })),
      }),
    }),
  })
  .parse(parse(readFileSync(join(template, '.github/workflows/check.yaml'), 'utf8')));
const { steps } = workflow.jobs.check;

const dir = mkdtempSync(join(tmpdir(), 'workflow-'));
const config = join(dir, 'config');
test.before.each(() => {
  rmSync(config, { recursive: true, force: true });
  cpSync(template, config, { recursive: true });
});
test.after(() => rmSync(dir, { recursive: true, force: true }));

const edit = (path: string, from: string | RegExp, to: string) => {
  const file = join(config, path);
  const text = readFileSync(file, 'utf8');
  assert.match(text, from);
  writeFileSync(file, text.replace(from, to));
};

/** As the runner of a workflow does it. */
function step(name: string): Promise<{ code: number; output: string }> {
  const command = steps.find((one) => one.name === name)?.run ?? 'exit 99';
  const env = { ...process.env, CONFIG: config, MINER: root, RENDERED: join(dir, 'rendered') };
  return new Promise((resolve) => {
    execFile('bash', ['-eo', 'pipefail', '-c', command], { env, timeout: 120_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, output: stdout + stderr });
    });
  });
}

test('it runs for pull requests to main, may read only, and installs what it runs', () => {
  assert.equal([workflow.on.pull_request.branches, workflow.permissions], [['main'], { contents: 'read' }]);
  assert.match(steps.find(({ name }) => name === 'install')?.run ?? '', /^npm ci --prefix "\$MINER"/);
});

test('the template, with a server of its own, is read and rendered', async () => {
  cpSync(join(config, 'servers/example.yaml'), join(config, 'servers/gpu-01.yaml'));
  edit('servers/gpu-01.yaml', 'name: example', 'name: gpu-01');
  const { code, output } = await step('schema and synth');
  assert.is(code, 0, output);
  assert.match(output, /files for 1 servers/);
});

test('a mistake is named with file, line and field', async () => {
  edit('miner.yaml', 'mode: active', 'mode: actve');
  const { code, output } = await step('schema and synth');
  assert.is(code, 2);
  assert.match(output, /miner\.yaml:\d+: policy\.mode: found "actve", allowed: .*paused/);
});

test('a key is found, the digest of an image is none', async () => {
  const hex = 'a1'.repeat(32);
  assert.is((await step('nothing secret')).code, 0);
  edit('miner.yaml', /$/, `\n# cacheCleaner: a:1@sha256:${hex}\n`);
  assert.is((await step('nothing secret')).code, 0);
  edit('servers/example.yaml', /$/, `\n# 0x${hex}\n`);
  const { code, output } = await step('nothing secret');
  assert.is(code, 1);
  assert.match(output, /servers\/example\.yaml:\d+\n/);
  assert.not.ok(output.includes(hex));
});

test('a strategy is typed, and played on the markets of the repository', async () => {
  assert.is((await step('types of the strategy')).code, 0);
  assert.equal(await step('simulate'), { code: 0, output: '' });
  cpSync(join(config, 'strategy/strategy.example.ts'), join(config, 'strategy/strategy.ts'));
  const typed = await step('types of the strategy');
  assert.is(typed.code, 0, typed.output);
  const gpuIds = Array.from({ length: 8 }, (_, i) => String(i).repeat(32));
  const { fleet } = makeTrace({ servers: [server('s', { gpu_ids: gpuIds })], duration: 7200 });
  const trace = join(config, 'traces/small');
  mkdirSync(trace, { recursive: true });
  for (const [name, text] of [
    ['fleet.json', JSON.stringify(fleet)],
    ['chutes.json', JSON.stringify([chute('c')])],
    ['events.ndjson', ''],
  ] as const)
    writeFileSync(join(trace, name), text);
  const played = await step('simulate');
  assert.is(played.code, 0, played.output);
  assert.match(played.output, /× upstream/);
  edit('strategy/strategy.ts', /$/, '\nconst wrong: number = "text";\n');
  assert.is.not((await step('types of the strategy')).code, 0);
});

test.run();
