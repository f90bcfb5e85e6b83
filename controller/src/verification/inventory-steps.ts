// Steps that every strategy has: label the node, take the server in, mark it verified, write its file; and for a server that is verified
// again, put what was found in the place of what was known.

import { MinerError } from '../domain/errors.ts';
import type { NodeArgs } from '../domain/ports.ts';
import type { DeviceInfo, Gpu, Server } from '../domain/server.ts';
import { describeServer } from './describe.ts';
import { factOf, note, type Run, type Step } from './sequence.ts';

const commitAttempts = 3;

export const label: Step = {
  name: 'label',
  async run(run) {
    const { record, deps, progress } = run;
    const { name, gpuShortRef, validator } = record.request;
    progress(`labelling node ${name}`);
    await deps.members.labelNode(name, {
      'gpu-short-ref': gpuShortRef,
      'chutes/validator': validator,
      'chutes/worker': 'true',
    });
    await describe(run);
  },
};

/** Of a server that is known: its node as it is now, and what the validator knows of it. */
export const describeAgain: Step = {
  name: 'describe',
  async run(run) {
    const { record, deps } = run;
    const known = (await deps.store.servers()).find(({ name }) => name === record.name);
    if (!known) throw new MinerError('E-VERIFICATION', `server ${record.name} is not in the inventory any more`);
    await describe(run, known);
  },
};

async function describe(run: Run, known?: Server): Promise<void> {
  const { record, progress } = run;
  const server = describeServer(record.node, record.request, known?.createdAt ?? record.startedAt);
  const count = record.node.gpus;
  progress(
    `node ${record.name} has ${count} GPUs, ${server.cpuPerGpu} CPUs and ${server.memoryPerGpu} GiB of RAM for each`,
  );
  await note(run, { server, formerGpuIds: known?.gpus.map(({ gpuId }) => gpuId) });
}

/** Keep the devices that were found; rejects with E-ALREADY-ADDED when one of them belongs to another server. */
export async function keepDevices(run: Run, devices: readonly DeviceInfo[], port?: number): Promise<void> {
  const { record, deps, progress } = run;
  const gpuIds = new Set(devices.map(({ uuid }) => uuid));
  const others = (await deps.store.servers()).filter(({ name }) => name !== record.name);
  const holder = others.find(({ gpus }) => gpus.some(({ gpuId }) => gpuIds.has(gpuId)));
  if (holder)
    throw new MinerError('E-ALREADY-ADDED', `a GPU of node ${record.name} already belongs to server ${holder.name}`);
  progress(`found ${devices.length} GPUs: ${devices[0]?.name}`);
  const gpus = devices.map(
    (deviceInfo): Gpu => ({
      gpuId: deviceInfo.uuid,
      model: record.request.gpuShortRef,
      verified: false,
      deviceInfo,
    }),
  );
  await note(run, { server: { ...factOf(run, 'server'), gpus, verificationPort: port } });
}

export const takeIn: Step = {
  name: 'inventory',
  async run(run) {
    const { store } = run.deps;
    const server = factOf(run, 'server');
    const taken = (await store.servers()).find(({ serverId }) => serverId === server.serverId);
    // Taken in by the process that began this step.
    if (taken?.name !== server.name) await store.addServer({ ...server, seed: undefined });
  },
  undo: { what: 'delete the row', run: ({ record, deps }) => deps.store.deleteServer(record.name) },
};

export const replaceDevices: Step = {
  name: 'replace',
  async run(run) {
    const { gpus, verificationPort, cpuPerGpu, memoryPerGpu } = factOf(run, 'server');
    await run.deps.store.updateServer(run.record.name, { gpus, verificationPort, cpuPerGpu, memoryPerGpu });
  },
};

/** What the validator is told of each GPU, in the order of the device index. */
export function nodeArgs(run: Run, port: number): NodeArgs[] {
  const { gpus, gpuShortRef, ip } = factOf(run, 'server');
  return gpus.map(({ deviceInfo }, device_index) => ({
    ...deviceInfo,
    device_index,
    gpu_identifier: gpuShortRef,
    verification_host: ip,
    verification_port: port,
  }));
}

/**
 * Tell the validator of the server. Its undo has the validator forget the server, unless it refused: what it knows then, such as a GPU of
 * another server, is not ours.
 */
export function advertisement(name: string, send: (run: Run) => Promise<void>): Step {
  async function forget(run: Run): Promise<void> {
    const { facts } = run.record;
    const gpuIds = [...(facts.formerGpuIds ?? []), ...(facts.server?.gpus.map(({ gpuId }) => gpuId) ?? [])];
    await run.validator().forgetServer(factOf(run, 'server').serverId, [...new Set(gpuIds)]);
  }
  return {
    name,
    async run(run) {
      const { facts } = run.record;
      if (facts.taskId !== undefined) return;
      run.progress('advertising the GPUs to the validator');
      // It may know the GPUs of a server that is verified again, and those that a process before this one told it of.
      if (facts.advertised || facts.formerGpuIds) await forget(run);
      // Before the call: it may arrive although its answer does not.
      await note(run, { advertised: true });
      try {
        await send(run);
      } catch (error) {
        const status = error instanceof MinerError && error.code === 'E-VALIDATOR' ? Number(error.detail?.status) : 0;
        if (status >= 400 && status < 500) await note(run, { advertised: false });
        throw error;
      }
    },
    undo: {
      what: 'have the validator forget the server',
      async run(run) {
        if (run.record.facts.advertised) await forget(run);
      },
    },
  };
}

export const verified: Step = {
  name: 'verified',
  async run(run) {
    await run.deps.store.markGpusVerified(factOf(run, 'server').gpus.map(({ gpuId }) => gpuId));
  },
};

/** The file on main opens the server for chutes, so the verification must have let go of the GPUs before. */
export const commit: Step = {
  name: 'commit',
  async run({ record, deps, progress }) {
    progress(`writing servers/${record.name}.yaml`);
    for (let attempt = 1; ; attempt++) {
      try {
        await deps.repo.writeServer(record.request);
        return;
      } catch (error) {
        const conflict = error instanceof MinerError && error.code === 'E-GIT-CONFLICT';
        if (!conflict || attempt === commitAttempts) throw error;
      }
    }
  },
  undo: {
    what: 'take the server out of the cluster repository',
    run: ({ record, deps }) => deps.repo.removeServer(record.name),
  },
};

export const uncordon: Step = {
  name: 'uncordon',
  run: ({ record, deps }) => deps.store.updateServer(record.name, { cordoned: null }),
};
