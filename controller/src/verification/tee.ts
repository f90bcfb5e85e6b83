// The strategy `tee`: the server is a confidential VM that lists its GPUs itself, and the validator attests it (graval.md 4.6). No pod, no
// seed, no waiting for a verdict: a validator that takes the server in has verified it.

import { request } from 'node:https';
import { MinerError, messageOf } from '../domain/errors.ts';
import { validatorHeaders } from '../signing/sign.ts';
import { checkDevices, readDevices } from './devices.ts';
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

/** Of the attestation service (protocol.md 6.3). */
export const attestationPort = 30_443;
const attempts = 5;
const pauseMs = 3000;
const timeoutMs = 5000;
const maxBytes = 256 * 1024;

export type TeeGet = (url: string, headers: Record<string, string>, signal: AbortSignal) => Promise<TeeAnswer>;

export interface TeeAnswer {
  status: number;
  text: string;
}

/** The certificate is the VM's own and proves nothing; identity comes from the attestation that the validator asks for. */
export const teeGet: TeeGet = (url, headers, signal) =>
  new Promise((resolve, reject) => {
    const call = request(url, { headers, signal, rejectUnauthorized: false, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > maxBytes) response.destroy(new Error(`the answer is larger than ${maxBytes} bytes`));
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    call.on('error', reject);
    call.end();
  });

async function ask<T>(run: Run, path: string, read: (text: string) => T): Promise<T> {
  const { deps, signal } = run;
  const url = `https://${factOf(run, 'server').ip}:${attestationPort}${path}`;
  let problem = 'stopped';
  for (let attempt = 1; attempt <= attempts && !signal.aborted; attempt++) {
    if (attempt > 1) await deps.clock.sleep(pauseMs, signal);
    try {
      const headers = validatorHeaders(deps.signer, { purpose: 'attest' });
      const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      const { status, text } = await (deps.teeGet ?? teeGet)(url, headers, limit);
      if (status === 200) return read(text);
      problem = `status ${status}`;
    } catch (error) {
      problem = messageOf(error).split('\n').join(' ').slice(0, 500);
    }
  }
  throw new MinerError('E-VERIFICATION', `${url} gives no usable answer: ${problem}`);
}

const health: Step = {
  name: 'tee-health',
  async run(run) {
    run.progress('asking the attestation service whether it is well');
    await ask(run, '/server/health', () => undefined);
  },
};

const devices: Step = {
  name: 'tee-devices',
  async run(run) {
    const found = await ask(run, '/server/devices', readDevices);
    stopIfAborted(run.signal);
    checkDevices(found, run.record.node, run.record.request.gpuShortRef);
    await keepDevices(run, found, attestationPort);
  },
};

const advertise = advertisement('tee-advertise', async (run) => {
  const { serverId, name, ip } = factOf(run, 'server');
  await run.validator().advertiseServer({ serverId, name, host: ip }, nodeArgs(run, attestationPort));
  await note(run, { taskId: 'attested' });
});

export const teeSteps: readonly Step[] = [label, health, devices, takeIn, advertise, verified, commit];

export const teeAgainSteps: readonly Step[] = [
  describeAgain,
  health,
  devices,
  replaceDevices,
  advertise,
  verified,
  uncordon,
];
