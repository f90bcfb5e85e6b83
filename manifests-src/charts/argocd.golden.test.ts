// Folder argocd/ of a miner with one server, links and notifications, compared byte by byte; UPDATE_GOLDEN=1 writes it anew.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { renderTree } from '../render.ts';
import { configWith, serversNamed } from '../testing/tree.ts';

const golden = fileURLToPath(new URL('../golden/argocd/', import.meta.url));
const config = configWith({
  git: { mode: 'external', url: 'https://git.example/miner/cluster.git' },
  argocd: {
    links: { dashboard: 'https://grafana.example/d/server?var-server={server}' },
    notifications: { service: 'slack' },
  },
});

test('the folder of Argo CD renders as committed, and nothing else does', () => {
  const tree = [...renderTree(config, serversNamed('gpu-01'))]
    .filter(([path]) => path.startsWith('argocd/'))
    .map(([path, text]): [string, string] => [path.slice('argocd/'.length), text]);
  if (process.env.UPDATE_GOLDEN === '1') {
    rmSync(golden, { recursive: true, force: true });
    mkdirSync(golden, { recursive: true });
    for (const [path, text] of tree) writeFileSync(golden + path, text);
  }
  assert.equal(
    tree.map(([path]) => path),
    readdirSync(golden).sort(),
  );
  for (const [path, text] of tree) assert.fixture(text, readFileSync(golden + path, 'utf8'), path);
});

test.run();
