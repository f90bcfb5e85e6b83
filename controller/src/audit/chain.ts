// Commits hashes on chain: call `set_commitment` of pallet Commitments, signed by the hotkey (protocol.md 6.5). A connection is made for
// each commitment. The library is large and optional, so it is loaded only here and only when a hash is to be committed.

import type { ApiPromise } from '@polkadot/api';
import { z } from 'zod';
import { MinerError, messageOf } from '../domain/errors.ts';
import type { Signer } from '../signing/sr25519.ts';
import type { ChainCommitter } from './export.ts';

export interface ChainOptions {
  /** WebSocket URL of a node. */
  endpoint: string;
  netuid: number;
  signer: Signer;
  /** Wall-clock ms for one commitment with everything around it. Default 3 min; a block takes 12 s. */
  timeoutMs?: number;
}

/** Of this chain's own extensions, the only one that is written into a transaction: it wraps the usual tip. */
const signedExtensions = { ChargeTransactionPaymentWrapper: { extrinsic: { tip: 'Compact<Balance>' }, payload: {} } };

const registration = z.object({
  block: z.int(),
  info: z.object({ fields: z.array(z.record(z.string(), z.unknown())) }),
});

function chainError(problem: string, options: { permanent?: boolean; cause?: unknown } = {}): MinerError {
  const { permanent = false, cause } = options;
  return new MinerError('E-CHAIN', problem, { detail: { permanent }, cause });
}

async function loadLibrary(): Promise<typeof import('@polkadot/api')> {
  try {
    return await import('@polkadot/api');
  } catch (error) {
    throw chainError('package @polkadot/api is not installed', { permanent: true, cause: error });
  }
}

/** The block in which this account committed exactly this hash last; undefined if its newest commitment is another. */
async function committedIn(
  api: ApiPromise,
  netuid: number,
  address: string,
  hash: string,
): Promise<number | undefined> {
  const stored = await api.query.commitments?.commitmentOf?.(netuid, address);
  const { data } = registration.safeParse(stored?.toJSON());
  return data?.info.fields.some((field) => field.sha256 === hash) ? data.block : undefined;
}

/** Sign, send, and wait for the block. */
async function submit(api: ApiPromise, { netuid, signer }: ChainOptions, hash: string): Promise<number> {
  const call = api.tx.commitments?.setCommitment;
  if (!call) throw chainError('this chain has no call commitments.set_commitment', { permanent: true });
  // Not the next free number but the next one of the state: a transaction that is still on its way has the same, so only one of them gets
  // into a block.
  const account = await api.query.system?.account?.(signer.address);
  const { nonce } = z.object({ nonce: z.int() }).parse(account?.toJSON());
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const end = await call(netuid, { fields: [{ Sha256: hash }] }).signAndSend(
    signer.address,
    {
      nonce,
      // 0x01: the kind of signature, sr25519.
      signer: {
        signRaw: async ({ data }) => ({ id: 0, signature: `0x01${signer.sign(Buffer.from(data.slice(2), 'hex'))}` }),
      },
    },
    ({ status, dispatchError, internalError, isError }) => {
      if (internalError) return reject(chainError(internalError.message, { cause: internalError }));
      if (isError) return reject(chainError(`the transaction ended as ${status.type}`));
      if (!status.isInBlock) return;
      if (dispatchError)
        return reject(chainError(`the chain refused it: ${nameOf(api, dispatchError)}`, { permanent: true }));
      resolve(status.asInBlock.toHex());
    },
  );
  const block = await promise.finally(end);
  return (await api.rpc.chain.getHeader(block)).number.toNumber();
}

function nameOf(api: ApiPromise, error: { isModule: boolean; asModule: unknown; toString(): string }): string {
  if (!error.isModule) return error.toString();
  const { section, name } = api.registry.findMetaError(
    error.asModule as Parameters<typeof api.registry.findMetaError>[0],
  );
  return `${section}.${name}`;
}

export function createCommitter(options: ChainOptions): ChainCommitter {
  const { endpoint, netuid, signer, timeoutMs = 180_000 } = options;

  async function commit(sha256: string): Promise<{ block: number }> {
    const { ApiPromise, WsProvider } = await loadLibrary();
    const provider = new WsProvider(endpoint, false, undefined, timeoutMs);
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(chainError(`no block within ${timeoutMs / 1000} s`)), timeoutMs);

    provider.on('disconnected', () =>
      late.reject(chainError(`the connection to ${endpoint} cannot be made or was lost`)),
    );

    async function run(): Promise<{ block: number }> {
      await provider.connect();
      await provider.isReady;
      const api = await ApiPromise.create({ provider, throwOnConnect: true, noInitWarn: true, signedExtensions });
      const hash = `0x${sha256}`;
      const earlier = await committedIn(api, netuid, signer.address, hash);
      return { block: earlier ?? (await submit(api, options, hash)) };
    }

    try {
      return await Promise.race([run(), late.promise]);
    } catch (error) {
      throw error instanceof MinerError ? error : chainError(`${endpoint}: ${messageOf(error)}`, { cause: error });
    } finally {
      clearTimeout(timer);
      await provider.disconnect().catch(() => undefined);
    }
  }

  return { commit };
}
