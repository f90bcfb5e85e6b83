import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parse as parseYaml } from 'yaml';
import { helmCharts } from './helm.ts';
import { renderTree } from './render.ts';
import { configWith, serversNamed } from './testing/tree.ts';

const config = configWith({ git: { mode: 'external', url: 'https://git.example/miner/cluster.git' } });
const tree = renderTree(config, serversNamed('gpu-01'));
const charts = helmCharts(tree);

/** What Helm makes of a template whose only actions print a brace pair. */
function helmed(text: string): string {
  const parts = text.split(/{{ "{{" }}/);
  for (const part of parts) assert.not.match(part, /{{/);
  return parts.join('{{');
}

test('there is a chart for each cluster and for Argo CD', () => {
  const found = [...charts].filter(([path]) => path.endsWith('Chart.yaml'));
  assert.equal(found.map(([path, text]) => [path, (parseYaml(text) as { name: string }).name]).sort(), [
    ['argocd/Chart.yaml', 'argocd'],
    ['control/Chart.yaml', 'control'],
    ['members/gpu-01/Chart.yaml', 'members-gpu-01'],
  ]);
});

test('the templates give the same objects as the tree, braces and all', () => {
  const templates = [...charts].filter(([path]) => path.includes('/templates/'));
  assert.is(templates.length, tree.size);
  for (const [path, text] of templates) assert.is(helmed(text), tree.get(path.replace('/templates/', '/')), path);
  assert.ok([...tree.values()].some((text) => text.includes('{{ $labels.')));
});

test.run();
