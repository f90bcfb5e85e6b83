// `kubeconfig sync-node`: access to one server, straight from its agent.

import { z } from 'zod';
import { type CommandModule, type Context, text } from '../command.ts';
import { parseForeign, pickContext } from '../kubeconfig.ts';
import { fileOptions, writeKubeconfig } from '../kubeconfig-file.ts';
import { readAnswer } from '../shapes.ts';

const answerShape = z.object({ kubeconfig: z.union([z.string(), z.looseObject({})]) });

async function run(context: Context): Promise<undefined> {
  const agent = await context.agent(text(context.values, 'agentApi') ?? '');
  const answer = await agent.json('GET', '/config/kubeconfig', { purpose: 'registration' });
  const { kubeconfig } = readAnswer(answerShape, answer, 'the answer of the agent');
  const where = 'the kubeconfig of the agent';
  const whole = await parseForeign(kubeconfig, where);
  return writeKubeconfig(context, pickContext(whole, text(context.values, 'contextName') ?? '', where));
}

export const command: CommandModule = {
  options: [
    { flags: '--agent-api <url>', description: 'the agent on the server', required: true },
    { flags: '--context-name <name>', description: 'context to take: the name of the server', required: true },
    ...fileOptions,
  ],
  examples: ['sync-node-kubeconfig --agent-api http://203.0.113.10:32000 --context-name gpu-0 --yes'],
  onAbort: 1,
  run,
};
