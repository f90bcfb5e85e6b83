// The vendor's own libraries on pocl, without their long work: seconds. What graval.md 9.4 and 9.5 found, each by name.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type DeviceInfo, GravalError, type GravalErrorCode, type WorkProduct } from '../backend.ts';
import { buildAddon } from '../build.ts';
import { vendorHost } from '../testing/vendorhost.ts';
import { openVendor, openVendorVerifier } from './backend.ts';

buildAddon();
const host = vendorHost();
const folder = mkdtempSync(`${tmpdir()}/graval-`);

function miner(environment: Record<string, string> = {}) {
  const backend = openVendor({ library: host.miner, environment: { ...host.environment, ...environment } });
  if (!backend.prover) throw new Error('no prover');
  return { ...backend, prover: backend.prover };
}
function validator(environment: Record<string, string> = {}) {
  return openVendorVerifier({ library: host.validator, environment: { ...host.environment, ...environment } });
}

async function failureOf(work: Promise<unknown>): Promise<GravalError> {
  const error = await work.then(
    () => undefined,
    (reason) => reason,
  );
  assert.instance(error, GravalError);
  return error;
}

async function rejects(work: Promise<unknown>, code: GravalErrorCode): Promise<void> {
  const error = await failureOf(work);
  assert.is(error.code, code, error.message);
}

const proving = miner();
const checking = validator();

/** A record and hash 1 of its proof under seed 42, as the library itself made them. */
const recorded: DeviceInfo = {
  name: 'CPU posing as a GPU for tests',
  uuid: '7e570000000000000000000000000000',
  memory: 2_569_011_200,
  processors: 2,
  clock_rate: 2_499_000,
  max_threads_per_processor: 4096,
};
const inputHash = '006b01aa0f821da723f70f355d3ba9fc9c207820c1ff7c91ae9ea10f80d47f23';
function proofWith(hash: string): WorkProduct {
  const blank = '00'.repeat(32);
  return { intermediate_hashes: [blank, hash, blank, blank], num_matrices: 4, total_iterations: 1 };
}

test('a record is read at the right offsets', async () => {
  const [device, ...others] = await proving.devices();
  assert.equal(others, []);
  assert.is(device?.name, recorded.name);
  assert.is(device?.uuid, recorded.uuid);
  assert.is(device?.memory, recorded.memory);
  assert.ok((device?.processors ?? 0) >= 1 && (device?.clock_rate ?? 0) > 100_000);
});

test('an info challenge is answered for the advertised record, and an altered answer is refused', async () => {
  const devices = await proving.devices();
  const challenge = await checking.makeInfoChallenge(1);
  const answer = await proving.prover.infoChallenge(challenge);
  assert.is(await checking.checkInfo(challenge, answer, devices), true);
  const altered = `${answer.slice(0, 20)}${answer[20] === '0' ? '1' : '0'}${answer.slice(21)}`;
  assert.is(await checking.checkInfo(challenge, altered, devices), false);
  assert.is(await checking.checkInfo(challenge, answer.slice(1), devices), false);
});

test('a filesystem challenge is the SHA-256 of exactly the range, and a range outside the file is refused', async () => {
  const path = `${folder}/file`;
  const text = 'hello file challenge';
  writeFileSync(path, text);
  const expected = createHash('sha256').update(text.slice(3, 8)).digest('hex');
  assert.is(await proving.prover.fsChallenge(path, 3, 5), expected);
  await rejects(proving.prover.fsChallenge(`${folder}/none`, 0, 1), 'BAD_INPUT');
  await rejects(proving.prover.fsChallenge(path, 0, 0), 'BAD_INPUT');
  await rejects(proving.prover.fsChallenge(path, 3, text.length), 'BAD_INPUT');
});

test('an explicit index is checked by itself: the true hash of an input passes, a flipped one does not', async () => {
  assert.is(await checking.checkProof(recorded, 42n, proofWith(inputHash), { index: 1, iteration: 0 }), true);
  const flipped = `1${inputHash.slice(1)}`;
  assert.is(await checking.checkProof(recorded, 42n, proofWith(flipped), { index: 1, iteration: 0 }), false);
  assert.is(await checking.checkProof(recorded, 43n, proofWith(inputHash), { index: 1, iteration: 0 }), false);
});

test('an iteration or index beyond the proof is refused here, where the library would crash', async () => {
  for (const spot of [
    { index: 4, iteration: 0 },
    { index: 1, iteration: 1 },
    { index: 1, iteration: 2 ** 31 },
  ]) {
    assert.is(await checking.checkProof(recorded, 42n, proofWith(inputHash), spot), false);
  }
  const short = { ...proofWith(inputHash), total_iterations: 2 };
  assert.is(await checking.checkProof(recorded, 42n, short, { index: 1, iteration: 0 }), false);
});

test('seed 0, with which the library never returns, is refused', async () => {
  await rejects(checking.encrypt(recorded, 'text', 1, 0n), 'BAD_INPUT');
  await rejects(proving.prover.prove(0n, 1), 'BAD_INPUT');
});

test('an encryption that does not return in time is ended, and the next call finds a new process', async () => {
  const slow = validator();
  const error = await slow.encrypt(recorded, 'text', 1, 42n, { deadlineMs: 300 }).then(
    () => undefined,
    ({ code }) => code,
  );
  assert.is(error, 'TIMEOUT');
  assert.match(await slow.makeInfoChallenge(1), /^[0-9a-f]{64}$/);
  await slow.close();
});

test('nothing is decrypted before a proof', async () => {
  const sealed = { seed: 42n, iv: new Uint8Array(16), ciphertext: new Uint8Array(16) };
  await rejects(proving.prover.decrypt({ ...sealed, uuid: recorded.uuid }), 'NOT_PROVEN');
});

test('an info answer is checked without OpenCL and without a start', async () => {
  const devices = await proving.devices();
  const challenge = '00'.repeat(32);
  const answer = await proving.prover.infoChallenge(challenge);
  const bare = validator({ OCL_ICD_VENDORS: folder });
  assert.is(await bare.checkInfo(challenge, answer, devices), true);
  await bare.close();
});

/** A folder in which the loader finds an empty file under this name, in front of the machine's library: it is as good as missing. */
function without(library: string): string {
  const path = `${folder}/without-${library}`;
  mkdirSync(path);
  writeFileSync(`${path}/${library}`, '');
  return `${path}:${host.environment.LD_LIBRARY_PATH}`;
}

const broken: Record<string, Record<string, string>> = {
  'no CLBlast': { LD_LIBRARY_PATH: folder },
  'no OpenCL': { LD_LIBRARY_PATH: without('libOpenCL.so.1') },
  'no OpenCL driver': { OCL_ICD_VENDORS: folder },
  'no device that is a GPU': { GRAVAL_SHIM_WITHOUT: 'type' },
  'no device id': { GRAVAL_SHIM_WITHOUT: 'uuid' },
};
for (const [name, environment] of Object.entries(broken)) {
  test(`a machine with ${name} has no GPU, and the library is not called again`, async () => {
    const lost = miner(environment);
    await rejects(lost.devices(), 'NO_DEVICE');
    await rejects(lost.prover.prove(42n, 1), 'NO_DEVICE');
    await rejects(lost.prover.infoChallenge('00'.repeat(32)), 'NO_DEVICE');
    await lost.close();
  });
}

test('a system without OpenSSL 3, as Debian 11, is named when the library does not load', async () => {
  const old = miner({ LD_LIBRARY_PATH: without('libcrypto.so.3') });
  const error = await failureOf(old.devices());
  assert.is(error.code, 'NO_LIBRARY');
  assert.match(error.message, /libcrypto\.so\.3/);
  await old.close();
});

test('a C library that is too old is named when the library does not load', async () => {
  const stub = `${folder}/libcrypto.so.3`;
  // The stub has what Debian 11 lacks, but asks for a C library that no system has yet: the loader's complaint is the same.
  writeFileSync(`${folder}/new.map`, 'GLIBC_2.99 { global: gnu_get_libc_version_2_99; };');
  const build = (...args: string[]) => assert.is(spawnSync('gcc', args, { cwd: folder }).status, 0, args.join(' '));
  writeFileSync(`${folder}/new.c`, 'int gnu_get_libc_version_2_99(void) { return 0; }');
  build('-shared', '-fPIC', '-Wl,-soname,libm.so.6', '-Wl,--version-script=new.map', 'new.c', '-o', 'libnew.so');
  writeFileSync(
    `${folder}/stub.c`,
    'int gnu_get_libc_version_2_99(void); int stub(void) { return gnu_get_libc_version_2_99(); }',
  );
  build('-shared', '-fPIC', 'stub.c', '-L.', '-lnew', '-o', stub);
  const old = miner({ LD_LIBRARY_PATH: folder });
  const error = await failureOf(old.devices());
  assert.is(error.code, 'NO_LIBRARY');
  assert.match(error.message, /GLIBC_2\.99' not found/);
  await old.close();
});

test('without /sys the driver aborts its process: the call fails, and this process goes on', () => {
  const script = `
    import { openVendor } from '${new URL('backend.ts', import.meta.url)}';
    const backend = openVendor(${JSON.stringify({ library: host.miner, environment: host.environment })});
    console.log(await backend.devices().then(() => 'devices', ({ code }) => code));
    await backend.close();`;
  const empty = `mount -t tmpfs none /sys && exec "$0" --disable-warning=ExperimentalWarning --input-type=module -e "$1"`;
  const args = ['--mount', 'sh', '-c', empty, process.execPath, script];
  const made = spawnSync('unshare', args, { encoding: 'utf8', timeout: 60_000 });
  assert.is(made.stdout.trim(), 'INTERNAL', made.stderr);
});

test('too little memory is no proof, although the library reports success', async () => {
  const small = miner({ GRAVAL_SHIM_MEMORY_MIB: '2400' });
  await rejects(small.prover.prove(42n, 1), 'NOT_PROVEN');
  await small.close();
});

test('what the library prints is in the way of nobody: it is neither our output nor an answer', () => {
  const script = `
    import { openVendor } from '${new URL('backend.ts', import.meta.url)}';
    const backend = openVendor(${JSON.stringify({ library: host.miner, environment: { ...host.environment, OCL_ICD_VENDORS: folder } })});
    console.log(await backend.devices().then(() => 'devices', ({ code }) => code));
    await backend.close();`;
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script];
  const made = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
  assert.equal([made.stdout.trim(), made.stderr.trim()], ['NO_DEVICE', '']);
});

test('another file than version 0.2.6 is not loaded, nor one that is no library', async () => {
  const path = `${folder}/libgraval-miner.so`;
  writeFileSync(path, 'no library');
  assert.throws(
    () => openVendor({ library: path }),
    (error: GravalError) => error.code === 'BAD_ABI',
  );
  await rejects(openVendor({ library: path, sha256: 'any' }).devices(), 'NO_LIBRARY');
  assert.throws(
    () => openVendor({ library: `${folder}/none` }),
    (error: GravalError) => error.code === 'NO_LIBRARY',
  );
});

test.after(async () => {
  await proving.close();
  await checking.close();
});

test.run();
