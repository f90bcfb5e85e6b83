// Makes docs/demo.svg: runs the demo on a pseudo-terminal and draws its last full screen. Usage: npm run picture

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const columns = 118;
const rows = 46;
const lineHeight = 17;
const charWidth = 8.2;
const out = fileURLToPath(new URL('../docs/demo.svg', import.meta.url));

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function svgOf(frame: string): string {
  const lines = frame.trimEnd().split('\n');
  const width = Math.ceil(columns * charWidth + 32);
  const height = lines.length * lineHeight + 32;
  const text = lines
    .map((line, i) => `<text x="16" y="${28 + i * lineHeight}" xml:space="preserve">${escapeXml(line)}</text>`)
    .join('\n');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<title>The demo: servers, deployments, last decisions and what happened meanwhile</title>
<rect width="100%" height="100%" rx="8" fill="#16181d"/>
<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="13" fill="#d7dae0">
${text}
</g>
</svg>
`;
}

const folder = '/tmp/miner-demo';
const demo = `npm run --silent demo -- --for 50s --dir ${folder}`;
const command = `rm -rf ${folder}; stty cols ${columns} rows ${rows}; ${demo}; rm -rf ${folder}`;
const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['ignore', 'pipe', 'inherit'] });
let screen = '';
child.stdout.on('data', (chunk: Buffer) => {
  screen += chunk;
});
child.on('close', () => {
  const frames = screen.split('\x1b[2J\x1b[H').slice(1);
  const last = frames.at(-1)?.replaceAll('\r', '').split('\n\n')[0];
  if (!last) throw new Error('the demo drew nothing');
  writeFileSync(out, svgOf(last));
  console.log(`wrote ${out}`);
});
