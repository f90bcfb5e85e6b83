// Hands a command what it works with. Key, signing and connections are made when they are first asked for.

import { homedir } from 'node:os';
import { type Context, flag, type Io, number, text, type Values } from './command.ts';
import { usageError } from './errors.ts';
import { createRemote, type Remote, type RemoteKind } from './http.ts';
import { createOutput, type Format } from './output/output.ts';

export interface ContextParts {
  io: Io;
  args: readonly (string | undefined)[];
  values: Values;
  onInterrupt(hint: string): void;
}

function expandHome(path: string, env: Io['env']): string {
  return path.replace(/^~(?=\/|$)/, env.HOME || homedir());
}

function demandUrl(name: string, url: string): string {
  if (/^https?:\/\/[^/\s]+/.test(url)) return url;
  throw usageError(`--${name}: found "${url}", allowed: a URL that starts with http:// or https://`);
}

/** The path of the hotkey file; E-USAGE when none is given. */
export function hotkeyPath({ values, io }: Pick<Context, 'values' | 'io'>): string {
  const path = text(values, 'hotkey');
  if (!path) throw usageError('--hotkey is missing', 'give the wallet file of the miner hotkey, or set HOTKEY');
  return expandHome(path, io.env);
}

export function createContext({ io, args, values, onInterrupt }: ContextParts): Context {
  const out = createOutput(io, {
    format: (flag(values, 'json') ? 'json' : (text(values, 'output') ?? 'table')) as Format,
    quiet: flag(values, 'quiet'),
    color: values.color !== false,
  });
  let loading: ReturnType<Context['signer']> | undefined;
  function signer(): ReturnType<Context['signer']> {
    const path = hotkeyPath({ values, io });
    loading ??= import('@miner/controller/signing/hotkey.ts').then(({ loadHotkey }) => loadHotkey(path));
    return loading;
  }

  async function remote(kind: RemoteKind, url: string): Promise<Remote> {
    const key = await signer();
    const { managementHeaders, validatorHeaders } = await import('@miner/controller/signing/sign.ts');
    const headers = kind === 'validator' ? validatorHeaders : managementHeaders;
    const timeout = number(values, 'timeout');
    const timeoutMs = timeout === undefined ? undefined : timeout * 1000;
    return createRemote({ kind, url, sign: (content) => headers(key, content), timeoutMs, signal: io.signal });
  }

  return {
    io,
    args,
    values,
    out,
    signer,
    miner: async () => remote('miner API', demandUrl('miner-api', text(values, 'minerApi') ?? '')),
    validator: async () => remote('validator', demandUrl('validator-api', text(values, 'validatorApi') ?? '')),
    agent: async (url) => remote('agent', demandUrl('agent-api', url)),
    onInterrupt,
  };
}
