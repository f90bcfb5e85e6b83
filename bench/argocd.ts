// A real Argo CD with our settings: from push to applied, and many changes in one commit. See e2e/README.md for what is real.
// Usage: argocd.ts [--rounds N] [--minutes N] [--set KEY=VALUE …] [--env NAME=VALUE …]
//   [--application JSON] [--planes N] [--remove] [--direct] [applications …]; default: 10 100. --planes: API servers that the GPU servers
// share; --direct: as many deployments by direct calls at the end, for comparison.
// PROFILES=FOLDER keeps the CPU profiles.

import { parseArgs } from 'node:util';
import { direct, empty, fill } from './argocd/bulk.ts';
import { pushed } from './argocd/pushed.ts';
import { openStage } from './argocd/stage.ts';
import { endAfter } from './ends.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '60' },
    minutes: { type: 'string', default: '12' },
    set: { type: 'string', multiple: true, default: [] },
    env: { type: 'string', multiple: true, default: [] },
    application: { type: 'string', default: '{}' },
    planes: { type: 'string', default: '2' },
    remove: { type: 'boolean', default: false },
    direct: { type: 'boolean', default: false },
  },
});
const spare = 4;
const pairs = (texts: readonly string[]) =>
  Object.fromEntries(texts.map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]));

const minutes = Number(values.minutes);
const deadline = performance.now() + minutes * 60_000;
endAfter(minutes);

for (const servers of positionals.length > 0 ? positionals.map(Number) : [10, 100]) {
  const stage = await openStage({
    servers: servers + spare,
    planes: Number(values.planes),
    settings: pairs(values.set),
    application: JSON.parse(values.application) as Record<string, unknown>,
    env: pairs(values.env),
  });
  try {
    await fill(stage, servers, spare);
    await pushed(stage, servers, Number(values.rounds), deadline - 30_000);
    if (values.remove) await empty(stage, servers);
    if (values.direct) await direct(stage, servers);
  } finally {
    await stage.stop();
  }
}
process.exit(0);
