// What most tests here need: a server of upstream's shape, a folder, a hotkey file, and a call that knows them.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { uvu } from 'uvu';
import { type Called, type CallOptions, call } from './run.ts';
import { miner, startUpstream, type Upstream } from './upstream.ts';

export interface TestContext {
  upstream: Upstream;
  folder: string;
  env: Record<string, string>;
  cli(args: string | readonly string[], options?: CallOptions): Promise<Called>;
}

/** A fresh one for each test. */
export function prepare(test: uvu.Test<TestContext>): void {
  test.before.each(async (context) => {
    const upstream = await startUpstream();
    const folder = mkdtempSync(join(tmpdir(), 'cli-'));
    const hotkey = join(folder, 'hotkey');
    writeFileSync(hotkey, JSON.stringify({ ss58Address: miner.address, secretSeed: `0x${miner.seed}` }), {
      mode: 0o600,
    });
    const env = { HOTKEY: hotkey, MINER_API: upstream.url, VALIDATOR_API: upstream.url, HOME: folder };
    Object.assign(context, {
      upstream,
      folder,
      env,
      cli: (args: string | readonly string[], options: CallOptions = {}) =>
        call(typeof args === 'string' ? args.split(' ') : args, { ...options, env: { ...env, ...options.env } }),
    });
  });
  test.after.each(async ({ upstream, folder }) => {
    await upstream.close();
    rmSync(folder, { recursive: true });
  });
}
