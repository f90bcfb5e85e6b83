// The vendor's libraries themselves, called as nobody should (graval.md 9.4, 9.5): the reasons for the rules of methods.ts. Each call in a
// process of its own, as several of them crash.

import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildAddon } from '../build.ts';
import { vendorHost } from '../testing/vendorhost.ts';

buildAddon();
const host = vendorHost();
const folder = mkdtempSync(`${tmpdir()}/graval-`);

/** How a process ends that loads a library and does this with it: what it says, or its signal. */
function outcomeOf(library: 'miner' | 'validator', work: string, environment: Record<string, string> = {}): string {
  const load = library === 'miner' ? 'loadMiner' : 'loadValidator';
  // Said on a descriptor of its own: the library prints to the others.
  const script = `
    import { writeSync } from 'node:fs';
    import { loadAddon } from '${new URL('../addon.ts', import.meta.url)}';
    const { vendor } = loadAddon();
    vendor.${load}(${JSON.stringify(host[library])});
    const record = (uuid) => ({ uuid, name: 'x', memory: 0, processors: 0, clock_rate: 0, max_threads_per_processor: 0 });
    let said;
    try { said = String((() => { ${work} })()); } catch (error) { said = 'error: ' + error.message; }
    writeSync(3, said);
    process.kill(process.pid, 'SIGKILL');`;
  const made = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script],
    {
      encoding: 'utf8',
      env: { ...process.env, ...host.environment, ...environment },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      timeout: 60_000,
    },
  );
  return made.output[3] || String(made.signal);
}

const crash = /^SIG(SEGV|BUS|ABRT|ILL)$/;
const noDriver = { OCL_ICD_VENDORS: folder };
const noProduct = { LD_LIBRARY_PATH: folder };
const table: [name: string, library: 'miner' | 'validator', work: string, Record<string, string>, RegExp][] = [
  ['a proof before the start is done on no GPU', 'miner', 'return vendor.prove(42n, 1)', {}, /^0$/],
  ['an info challenge before the start crashes', 'validator', 'return vendor.makeInfoChallenge(1)', {}, crash],
  [
    'after a failed start without CLBlast a record crashes',
    'miner',
    'if (vendor.initialize() !== 0) return "started"; return vendor.deviceInfo(0)',
    noProduct,
    crash,
  ],
  [
    'without an OpenCL driver a record is an error that says so',
    'miner',
    'if (vendor.initialize() !== 0) return "started"; return vendor.deviceInfo(0)',
    noDriver,
    /^error: .*OpenCL platforms.*-1001/,
  ],
  [
    'a part of a file is hashed without a start and without OpenCL',
    'miner',
    'return vendor.fileAnswer(process.execPath, 1, 3)',
    noDriver,
    /^[0-9a-f]{64}$/,
  ],
  [
    'an info answer is checked without a start and without OpenCL',
    'validator',
    'return vendor.checkInfo("00".repeat(32), "00".repeat(32), [record("0".repeat(32))])',
    noDriver,
    /^false$/,
  ],
  [
    'too little memory is reported as a proof of one GPU, which then holds none',
    'miner',
    'vendor.initialize(); return [vendor.prove(42n, 1), vendor.deviceInfo(0).work]',
    { GRAVAL_SHIM_MEMORY_MIB: '2400' },
    /^1,$/,
  ],
];

for (const [name, library, work, environment, expected] of table) {
  test(name, () => assert.match(outcomeOf(library, work, environment), expected));
}

test('the library prints to the output of its process', () => {
  const script = `
    import { loadAddon } from '${new URL('../addon.ts', import.meta.url)}';
    const { vendor } = loadAddon();
    vendor.loadMiner(${JSON.stringify(host.miner)});
    vendor.initialize();`;
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script];
  const env = { ...process.env, ...host.environment, ...noProduct };
  const made = spawnSync(process.execPath, args, { encoding: 'utf8', env, timeout: 60_000 });
  assert.match(`${made.stdout}${made.stderr}`, /Error resolving imports/);
});

test.run();
