// What the miner API answers to a change: printed as JSON, as upstream prints it, unless another format is asked for.

import type { Context } from './command.ts';
import { toJson } from './json.ts';
import { withoutCredentials } from './output/output.ts';

/** `names`: what `-o name` prints, one line each. */
export async function showReply({ out }: Context, reply: unknown, names: readonly string[]): Promise<void> {
  await out.show({ value: reply, names, table: () => toJson(withoutCredentials(reply), 2) });
}
