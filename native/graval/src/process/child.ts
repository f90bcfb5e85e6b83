// The child process of one backend: one engine session, or one of the vendor's libraries. Standard output belongs to the library, which
// prints there; messages go over a channel of their own.

import { loadAddon } from '../addon.ts';
import { GravalError, type GravalErrorCode } from '../backend.ts';
import { ogvSession } from '../ogv/session.ts';
import { vendorMethods } from '../vendor/methods.ts';
import type { Call, Reply } from './wire.ts';

const addon = loadAddon();
addon.dieWithParent();

type Method = (...args: never[]) => unknown;
const session = ogvSession(addon);
const methods: Record<string, Method> = {
  ...vendorMethods(addon.vendor),
  cudaDevices: () => addon.cudaDevices(),
  refc1Hashes: addon.refc1Hashes,
  audit: session.audit,
  discard: session.discard,
};

function send(reply: Reply): void {
  process.send?.(reply);
}

function codeOf(error: unknown): GravalErrorCode {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string' && /^[A-Z_]+$/.test(error.code)) {
    return error.code as GravalErrorCode;
  }
  return 'INTERNAL';
}

async function answer({ id, method, args }: Call): Promise<void> {
  try {
    const report: Method = (phase: never, done: never, total: never) => send({ id, progress: { phase, done, total } });
    const run = method === 'commit' ? (session.commit as Method) : methods[method];
    if (!run) throw new GravalError('INTERNAL', `no method ${method}`);
    send({ id, value: await run(...(args as never[]), report as never) });
  } catch (error) {
    send({ id, error: { code: codeOf(error), message: error instanceof Error ? error.message : String(error) } });
  }
}

process.on('message', answer);
process.on('disconnect', () => process.exit());
