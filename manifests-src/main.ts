// `cdk8s synth` and `npm run synth`: renders a cluster repository into a folder, in the layout of branch `live`. Exit code 2 for a mistake
// in the options or the configuration; then nothing is written.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readConfigFolder } from '@miner/controller/clusterrepo/configfolder.ts';
import { MinerError, messageOf } from '@miner/controller/domain/errors.ts';
import { unpinnedImages } from '@miner/controller/domain/values/images.ts';
import { helmCharts } from './helm.ts';
import { renderTree } from './render.ts';

const template = fileURLToPath(new URL('../cluster-repo-template', import.meta.url));
const rendered = ['argocd', 'chutes', 'control', 'members'];

const usage = `Usage: npm run synth -- [--repo DIR|TEMPLATE] [--out DIR] [--pinned] [--helm]

  --repo DIR    folder with miner.yaml and servers/ (default: TEMPLATE, the folder cluster-repo-template)
  --out DIR     where the files go; its folders ${rendered.join(', ')} are replaced (default: dist)
  --pinned      refuse images without a digest
  --helm        write Helm charts, one for each cluster`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      repo: { type: 'string', default: 'TEMPLATE' },
      out: { type: 'string', default: process.env.CDK8S_OUTDIR ?? 'dist' },
      pinned: { type: 'boolean', default: false },
      helm: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const { config, servers } = await readConfigFolder(values.repo === 'TEMPLATE' ? template : values.repo);
  const unpinned = unpinnedImages(config.images);
  if (values.pinned && unpinned.length > 0)
    throw new MinerError(
      'E-CONFIG',
      `images.yaml: ${unpinned.join(', ')}: found no digest, allowed: name:tag@sha256:… (chutes-miner images pin)`,
    );
  const tree = renderTree(config, servers);
  const files = values.helm ? helmCharts(tree) : tree;
  for (const folder of rendered) rmSync(join(values.out, folder), { recursive: true, force: true });
  for (const [path, text] of files) {
    const file = join(values.out, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  const kind = values.helm ? 'files of Helm charts' : 'files';
  console.log(`${files.size} ${kind} for ${servers.size} servers in ${values.out}`);
  if (unpinned.length > 0) console.log(`pinned by tag only: ${unpinned.join(', ')}`);
}

try {
  await main();
} catch (error) {
  const usageMistake = error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  const expected = error instanceof MinerError || usageMistake;
  console.error(expected ? messageOf(error) : error);
  process.exit(expected ? 2 : 1);
}
