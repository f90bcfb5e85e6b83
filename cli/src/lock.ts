// Lock and unlock are one request and one line.

import { type Context, target } from './command.ts';
import { readAnswer, serverShape } from './shapes.ts';

export async function setLock(context: Context, verb: 'lock' | 'unlock'): Promise<undefined> {
  const name = target(context);
  const miner = await context.miner();
  const answer = await miner.json('GET', `/servers/${encodeURIComponent(name)}/${verb}`, { purpose: 'management' });
  const server = readAnswer(serverShape, answer, 'the server');
  const { out } = context;
  // Scripts look for this line, capital letter included.
  const state = server.locked ? 'True' : 'False';
  await out.showText(server, `Server ${server.name} lock status is now: ${state}`, [server.name]);
}
