// For gone.e2e.ts: brings a GPU server up, says so when its pods run, and waits for its end.

import { waitFor } from '../cluster/process.ts';
import { ensureTools } from '../cluster/tools.ts';
import { openScene } from './scene.ts';

const { node } = await openScene(await ensureTools({ node: true }));
const running = async () => {
  const pods = await node.plane.kube.list('v1/pods', 'chutes-system');
  return pods.some(({ status }) => (status as { phase?: string }).phase === 'Running');
};
await waitFor('a pod runs', running, { timeoutMs: 180_000, everyMs: 500 });
console.log('up');
setInterval(() => undefined, 60_000);
