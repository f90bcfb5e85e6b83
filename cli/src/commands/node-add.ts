// `node add`: the checks and the verification run at the miner API; here its progress is shown, and how it ended becomes the exit code.

import { type CommandModule, type Context, number, target, text } from '../command.ts';
import { asCliError, CliError } from '../errors.ts';
import { toJson } from '../json.ts';
import { type AddNodeRequest, addNode, addNodeTimeoutMs, type ProgressMessage } from '../miner-api.ts';

function hourlyCost(value: string): number {
  const cost = Number(value);
  if (value.trim() === '' || !(cost >= 0)) throw new Error('allowed: USD per GPU and hour, for example 1.5');
  return cost;
}

/** Lines of text on stdout as upstream prints them; a spinner on stderr while a person waits. */
async function textProgress({ out, io }: Context, name: string) {
  const { default: ora } = io.stderr.isTTY && !out.quiet ? await import('ora') : { default: undefined };
  const spinner = ora?.({ text: `adding ${name}`, stream: process.stderr, discardStdin: false });
  spinner?.start();
  return {
    message({ timestamp, message }: ProgressMessage) {
      if (out.quiet && !/completed server bootstrapping/.test(message)) return;
      spinner?.clear();
      out.line(`${out.paint(timestamp, 'blue')} ${message}`);
      if (spinner) spinner.text = message;
    },
    end: () => void spinner?.stop(),
  };
}

async function addWithEvents(context: Context, request: AddNodeRequest, timeoutMs: number): Promise<void> {
  const { out } = context;
  const miner = await context.miner();
  let last = '';
  try {
    await addNode(
      miner,
      request,
      (message) => {
        last = message.message;
        out.line(toJson({ type: 'progress', ...message }));
      },
      timeoutMs,
    );
    out.line(toJson({ ok: true, name: request.name, phase: last }));
  } catch (thrown) {
    const failure = context.io.signal.aborted ? new CliError('E-ABORTED', 'interrupted') : asCliError(thrown);
    const { code, message: detail, hint } = failure;
    out.line(toJson({ ok: false, name: request.name, phase: last, error: { code, detail, hint } }));
    throw thrown;
  }
}

async function run(context: Context): Promise<undefined> {
  const { values, out } = context;
  const name = target(context);
  const request: AddNodeRequest = {
    name,
    validator: text(values, 'validator') ?? '',
    hourly_cost: number(values, 'hourlyCost') ?? 0,
    gpu_short_ref: text(values, 'gpuShortRef') ?? '',
    agent_api: text(values, 'agentApi') ?? '',
  };
  // The miner takes back what is begun when its caller goes.
  context.io.outliveReader?.();
  const timeout = number(values, 'timeout');
  const timeoutMs = timeout === undefined ? addNodeTimeoutMs : timeout * 1000;
  context.onInterrupt(
    `the miner undoes what was begun; see chutes-miner node show ${name}, then run the same command again`,
  );
  if (out.format === 'json') {
    await addWithEvents(context, request, timeoutMs);
    return;
  }
  const miner = await context.miner();
  const progress = await textProgress(context, name);
  try {
    await addNode(miner, request, progress.message, timeoutMs);
  } finally {
    progress.end();
  }
}

export const command: CommandModule = {
  arguments: [{ name: '[name]', description: 'the server, instead of --name' }],
  options: [
    { flags: '--name <name>', description: 'name of the server: its Kubernetes node and kubeconfig context' },
    { flags: '--validator <hotkey>', description: 'hotkey (ss58) of the validator it works for', required: true },
    {
      flags: '--hourly-cost <usd>',
      description: 'what one GPU of it costs in an hour, USD',
      required: true,
      parse: hourlyCost,
    },
    { flags: '--gpu-short-ref <ref>', description: 'GPU model by the validator’s short ref', required: true },
    { flags: '--agent-api <url>', description: 'the agent on the server', required: true },
  ],
  examples: [
    'node add --name gpu-0 --validator 5Dt7HZ7Zpw4DppPxFM7Ke3Cm7sDAWhsZXmM5ZAmE7dSVJbcQ --hourly-cost 1.5 ' +
      '--gpu-short-ref h100_sxm --agent-api http://203.0.113.10:32000',
    'add-node … -o json | tail -1     # {"ok":true,…}',
  ],
  run,
};
