// The checks in the order in which they build on each other. What cannot be looked at because something before it failed is left out.

import { stat } from 'node:fs/promises';
import type { Context } from '../command.ts';
import { readStatus } from '../commands/status.ts';
import { hotkeyPath } from '../context.ts';
import { asCliError, CliError } from '../errors.ts';
import { clockSkewMs, createRemote, type Remote } from '../http.ts';
import { readServers } from '../inventory.ts';
import { readRemoteGpus } from '../remote-inventory.ts';
import type { ServerAnswer } from '../shapes.ts';
import { type Check, clockCheck, fail, ok, warn } from './check.ts';
import { checkRepository } from './repository.ts';

/** The validator's window is wider than the miner's (protocol.md 1.4). */
const validatorWindowMs = 600_000;
const probeTimeoutMs = 5000;

type Tell = (check: Check) => void;

function failure(name: string, thrown: unknown, fix: string): Check {
  const { message, code, hint } = asCliError(thrown);
  return fail(name, `${message} [${code}]`, hint ?? fix);
}

async function checkHotkey(context: Context, tell: Tell): Promise<string | undefined> {
  const name = 'hotkey file';
  try {
    const path = hotkeyPath(context);
    const { address } = await context.signer();
    const { mode } = await stat(path);
    const isOpen = (mode & 0o077) !== 0;
    const octal = (mode & 0o777).toString(8).padStart(4, '0');
    tell(
      isOpen
        ? warn(name, `${address}, but others may read the file (mode ${octal})`, `chmod 600 ${path}`)
        : ok(name, `${address}, mode ${octal}`),
    );
    return address;
  } catch (error) {
    tell(failure(name, error, 'give the wallet file of the miner hotkey with --hotkey or HOTKEY'));
    return undefined;
  }
}

async function checkMinerApi({ values, io }: Context, tell: Tell): Promise<boolean> {
  const url = String(values.minerApi);
  const remote = createRemote({ kind: 'miner API', url, timeoutMs: probeTimeoutMs, signal: io.signal });
  try {
    const response = await remote.send('GET', '/ping');
    tell(ok('miner API', `${url} answers`));
    tell(clockCheck('miner API clock', clockSkewMs(response, io.now())));
  } catch (error) {
    tell(failure('miner API', error, 'check --miner-api'));
    return false;
  }
  tell(await checkReady(remote));
  return true;
}

/** `/readyz`, or `/healthz` where there is none. */
async function checkReady(remote: Remote): Promise<Check> {
  const name = 'miner ready';
  for (const path of ['/readyz', '/healthz']) {
    try {
      await remote.send('GET', path);
      return ok(name, `${path} says yes`);
    } catch (error) {
      const isMissing = error instanceof CliError && error.status === 404;
      if (!isMissing) return failure(name, error, 'read the log of the controller');
    }
  }
  return warn(
    name,
    'the API has neither /readyz nor /healthz',
    'it is not this miner’s own API; the other checks still hold',
  );
}

async function checkIdentity(context: Context, address: string, tell: Tell): Promise<ServerAnswer[]> {
  const name = 'hotkey at the miner';
  const fix = 'use the hotkey file that the miner runs with';
  try {
    const servers = await readServers(await context.miner());
    const status = await readStatus(context).catch(() => undefined);
    const isSame = status === undefined || status.hotkey === address;
    tell(isSame ? ok(name, 'accepted') : fail(name, `the miner is ${status.hotkey}`, fix));
    for (const held of status?.held ?? []) tell(warn('held back', held, 'decide about it: see `chutes-miner status`'));
    return servers;
  } catch (error) {
    tell(failure(name, error, fix));
    return [];
  }
}

async function checkValidator(
  context: Context,
  address: string | undefined,
  servers: readonly ServerAnswer[],
  tell: Tell,
) {
  const { values, io } = context;
  const url = String(values.validatorApi);
  const remote = createRemote({ kind: 'validator', url, timeoutMs: probeTimeoutMs, signal: io.signal });
  try {
    const response = await remote.send('GET', '/nodes/supported');
    const refs = new Set(Object.keys((await response.json()) as object));
    tell(ok('validator', `${url} answers and supports ${refs.size} GPU models`));
    tell(clockCheck('validator clock', clockSkewMs(response, io.now()), validatorWindowMs));
    for (const server of servers) {
      const ref = server.labels?.['gpu-short-ref'] ?? server.gpus[0]?.model_short_ref;
      if (typeof ref !== 'string' || refs.has(ref)) continue;
      tell(
        fail(
          `GPU model of ${server.name}`,
          `${ref} is not supported`,
          'delete-node it, then add-node with a supported ref',
        ),
      );
    }
  } catch (error) {
    tell(failure('validator', error, 'check --validator-api'));
    return;
  }
  if (address === undefined) return;
  try {
    const gpus = await readRemoteGpus(await context.validator());
    tell(ok('hotkey at the validator', `accepted, ${gpus.length} GPU(s) known`));
  } catch (error) {
    tell(failure('hotkey at the validator', error, 'register the hotkey on subnet 64'));
  }
}

async function checkAgent({ io }: Context, { name, agent_api: url }: ServerAnswer): Promise<Check> {
  const title = `agent of ${name}`;
  if (!url) return warn(title, 'the server has no agent', 'delete-node it, then add-node with --agent-api');
  try {
    await createRemote({ kind: 'agent', url, timeoutMs: probeTimeoutMs, signal: io.signal }).send('GET', '/ping');
    return ok(title, `${url} answers`);
  } catch (error) {
    return failure(title, error, 'open the port, and look at the agent on the server');
  }
}

/** `tell` hears of each check as soon as it is made. */
export async function checkAll(context: Context, repository: string | undefined, tell: Tell): Promise<Check[]> {
  const checks: Check[] = [];
  function report(check: Check): void {
    checks.push(check);
    tell(check);
  }
  const address = await checkHotkey(context, report);
  const isUp = await checkMinerApi(context, report);
  const servers = isUp && address !== undefined ? await checkIdentity(context, address, report) : [];
  await checkValidator(context, address, servers, report);
  for (const check of await Promise.all(servers.map((server) => checkAgent(context, server)))) report(check);
  if (repository !== undefined) for (const check of await checkRepository(repository)) report(check);
  return checks;
}
