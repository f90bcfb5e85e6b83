// One chute deployment as text, after a warm-up: median and 99th percentile. Prints one JSON object a line.

import { render } from '@miner/manifests/fixtures.ts';
import { machine } from './machine.ts';

const warmUp = 200;
const count = 1000;

for (let i = 0; i < warmUp; i++) render();
const times = Array.from({ length: count }, () => {
  const started = performance.now();
  render();
  return performance.now() - started;
}).sort((a, b) => a - b);

for (const [name, share] of [
  ['render-chute-p50', 0.5],
  ['render-chute-p99', 0.99],
] as const) {
  const value = Number((times[Math.floor(count * share)] ?? Number.NaN).toFixed(3));
  console.log(JSON.stringify({ name, value, unit: 'ms', n: count, machine: machine() }));
}
