// The definitions of our images, held against what the charts expect of them. No test builds them.

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { programUser } from './constructs/container.ts';
import { configWith } from './testing/tree.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const own = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
  version: string;
  workspaces: string[];
  devDependencies: Record<string, string>;
};
const definition = (name: string) => readFileSync(`${root}images/${name}/Containerfile`, 'utf8');
const entryPoint = (text: string) => JSON.parse(/^ENTRYPOINT (.*)$/m.exec(text)?.[1] ?? '[]') as string[];

for (const name of ['miner', 'graval-bootstrap']) {
  const text = definition(name);
  const copied = [...text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, from = '']) => from.split(' '));

  test(`${name}: what it copies is there, and npm finds every workspace`, () => {
    assert.ok(copied.length > 0);
    for (const path of copied) assert.ok(existsSync(root + path), path);
    for (const workspace of own.workspaces) assert.ok(copied.includes(`${workspace}/package.json`), workspace);
  });

  test(`${name}: it starts the program, with the Node that this repository has, as the user of its pods`, () => {
    const program = entryPoint(text).find((one) => one.endsWith('.ts')) ?? '';
    assert.ok(existsSync(root + program), program);
    assert.ok(copied.some((path) => program.startsWith(`${path}/`)));
    assert.ok(text.includes(`/node:${own.devDependencies.node}-`));
    assert.match(text, new RegExp(`^USER ${programUser}:${programUser}$`, 'm'));
  });
}

test('the program takes the role from the arguments, as the charts give it, under the name that they ask for', () => {
  const text = definition('miner');
  assert.is(entryPoint(text).at(-1), 'controller/src/main.ts');
  assert.ok(text.includes(` -t ${configWith().images.miner} .`));
});

test.run();
