// `hotkey show`: the public half.

import type { CommandModule, Context } from '../command.ts';
import { hotkeyPath } from '../context.ts';

async function run(context: Context): Promise<undefined> {
  const { address, publicKey } = await context.signer();
  const value = {
    ss58_address: address,
    public_key: `0x${Buffer.from(publicKey).toString('hex')}`,
    file: hotkeyPath(context),
  };
  const text = context.out.format === 'wide' ? `${address}   ${value.public_key}   ${value.file}` : address;
  await context.out.showText(value, text, [address]);
}

export const command: CommandModule = {
  examples: ['hotkey show', 'hotkey show --hotkey ~/.bittensor/wallets/miner/hotkeys/default -o json'],
  run,
};
