import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { minerConfig, serverConfig } from '../domain/config.ts';
import { imagesFileValues, imageValues } from '../domain/values/images.ts';
import { checkYamlFile, parseYamlFile } from './configfile.ts';
import { readConfigFolder } from './configfolder.ts';

const template = fileURLToPath(new URL('../../../cluster-repo-template', import.meta.url));
const read = (path: string) => readFileSync(`${template}/${path}`, 'utf8');

test('the template is a valid configuration without servers', async () => {
  const { servers } = await readConfigFolder(template);
  assert.is(servers.size, 0);
});

test('the template shows the policy as a whole, and every field it shows with its default', () => {
  const shown = parseYamlFile(read('miner.yaml'), 'miner.yaml', minerConfig);
  const { hotkey, validators } = shown;
  assert.equal(shown, minerConfig.parse({ hotkey, validators }));
  for (const name of Object.keys(shown.policy)) {
    assert.match(read('miner.yaml'), new RegExp(`^ *${name}:`, 'm'), `${name} is not shown`);
  }
});

test('the template names every image, each as it is by default', () => {
  const shown = parseYamlFile(read('images.yaml'), 'images.yaml', imagesFileValues);
  assert.equal(Object.entries(shown ?? {}), Object.entries(imageValues.parse({})));
});

test('the rules that are commented out in miner.yaml are valid ones', () => {
  const written = read('miner.yaml')
    .replace(/^( +\w+:) (\{\}|\[\])(?=\n +# {2})/gm, '$1')
    .replace(/^ {2}#(?= {2})/gm, ' ');
  const { value, problems } = checkYamlFile(written, 'miner.yaml', minerConfig);
  assert.equal(problems, []);
  const { chutes, servers, schedule } = value?.policy ?? {};
  assert.equal(
    [chutes, servers, schedule].map((rules) => Object.keys(rules ?? {}).length),
    [1, 1, 1],
  );
});

test('the example of a server is valid and shows every field', () => {
  parseYamlFile(read('servers/example.yaml'), 'servers/example.yaml', serverConfig);
  for (const name of Object.keys(serverConfig.shape)) {
    assert.match(read('servers/example.yaml'), new RegExp(`^${name}:`, 'm'), `${name} is not shown`);
  }
});

test.run();
