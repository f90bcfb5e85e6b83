// The strategy `graval`: a bootstrap pod takes all GPUs of the server and proves them to the validator (graval.md 4.4).

import { MinerError, messageOf } from '../domain/errors.ts';
import { allocateNodePorts } from '../domain/nodeport.ts';
import { checkDevices, fetchDevices } from './devices.ts';
import {
  advertisement,
  commit,
  describeAgain,
  keepDevices,
  label,
  nodeArgs,
  replaceDevices,
  takeIn,
  uncordon,
  verified,
} from './inventory-steps.ts';
import { factOf, note, type Run, type Step, stopIfAborted } from './sequence.ts';

/** Seconds for the bootstrap pod to become ready, and again for the validator's verdict (protocol.md 7.1). */
const bootstrapTimeoutSeconds = 900;
const pollMs = 1000;
/** Polls in a row that may fail while the proof goes on. */
const failedPollsAllowed = 10;

async function freeNodePort({ record, deps }: Run): Promise<number> {
  const { store, members } = deps;
  const { name } = record;
  const held = (await store.lifecycles()).filter((row) => row.server === name && row.goneAt === undefined);
  const pods = members.observe().pods.filter((pod) => pod.server === name);
  const [port] = allocateNodePorts(new Set([...held, ...pods].flatMap((one) => one.nodePorts)), 1) ?? [];
  if (port === undefined) throw new MinerError('E-CLUSTER', `server ${name} has no free node port`);
  return port;
}

/** Removes what an earlier try left behind, so it may be begun again at any time. */
const bootstrap: Step = {
  name: 'bootstrap',
  async run(run) {
    const { record, deps, progress, signal } = run;
    const { cpuPerGpu, memoryPerGpu } = factOf(run, 'server');
    const nodePort = await freeNodePort(run);
    progress(`starting the GPU verification on node port ${nodePort}`);
    const started = await deps.members.startBootstrap(
      record.name,
      {
        gpuCount: record.node.gpus,
        cpuPerGpu,
        memoryPerGpu,
        image: deps.config().images.gravalBootstrap,
        validatorHotkey: record.request.validator,
        minerHotkey: deps.signer.address,
        nodePort,
        timeoutSeconds: bootstrapTimeoutSeconds,
      },
      signal,
    );
    await note(run, { nodePort: started.nodePort });
  },
  undo: { what: 'stop the GPU verification', run: ({ record, deps }) => deps.members.stopBootstrap(record.name) },
};

const devices: Step = {
  name: 'devices',
  async run(run) {
    const { record, deps, signal } = run;
    const { signer, clock, fetch } = deps;
    const port = factOf(run, 'nodePort');
    const address = `${factOf(run, 'server').ip}:${port}`;
    const found = await fetchDevices({ address, signer, clock, signal, fetch });
    stopIfAborted(signal);
    checkDevices(found, record.node, record.request.gpuShortRef);
    await keepDevices(run, found, port);
  },
};

const advertise = advertisement('advertise', async (run) => {
  const { record, deps, validator } = run;
  const { serverId, name } = factOf(run, 'server');
  const nodes = nodeArgs(run, factOf(run, 'nodePort'));
  const { taskId, seed } = await validator().advertiseNodes({ serverId, name }, nodes);
  if (seed !== undefined) await deps.store.updateServer(record.name, { seed });
  await note(run, { taskId, waitingSince: deps.clock.now() });
});

function isPassing(error: unknown): boolean {
  if (!(error instanceof MinerError)) return false;
  const status = error.detail?.status;
  return (
    error.code === 'E-VALIDATOR-UNREACHABLE' ||
    (error.code === 'E-VALIDATOR' && typeof status === 'number' && status >= 500)
  );
}

/** One poll a second, one message each. */
const verdict: Step = {
  name: 'verdict',
  async run(run) {
    const { deps, validator, progress, signal } = run;
    const taskId = factOf(run, 'taskId');
    // A validator that does not verify says so with this task id, and refuses to be asked about it (protocol.md 6.3).
    if (taskId === 'skip') return progress('the validator skips the verification');
    for (let failures = 0; ; ) {
      stopIfAborted(signal);
      const seconds = Math.round((deps.clock.now() - factOf(run, 'waitingSince')) / 1000);
      if (seconds > bootstrapTimeoutSeconds) {
        throw new MinerError('E-VERIFICATION', `the validator gave no verdict within ${bootstrapTimeoutSeconds} s`);
      }
      try {
        const answer = await validator().verificationStatus(taskId);
        failures = 0;
        if (answer.status === 'verified') return;
        if (answer.status === 'failed') {
          throw new MinerError('E-VERIFICATION', `the validator refused the GPUs: ${answer.detail}`);
        }
        progress(`waiting for the validator to verify the GPUs (${seconds} s)`);
      } catch (error) {
        if (!isPassing(error) || ++failures > failedPollsAllowed) throw error;
        progress(`the validator does not answer, asking again: ${messageOf(error)}`);
      }
      await deps.clock.sleep(pollMs, signal);
    }
  },
};

const release: Step = {
  name: 'release',
  run: ({ record, deps }) => deps.members.stopBootstrap(record.name),
};

export const gravalSteps: readonly Step[] = [
  label,
  bootstrap,
  devices,
  takeIn,
  advertise,
  verdict,
  // The pod of the verification holds all GPUs: none is free before it is gone.
  release,
  verified,
  commit,
];

export const gravalAgainSteps: readonly Step[] = [
  describeAgain,
  bootstrap,
  devices,
  replaceDevices,
  advertise,
  verdict,
  release,
  verified,
  uncordon,
];
