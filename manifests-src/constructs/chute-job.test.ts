import { configFor } from '@miner/controller/domain/config.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Case, chute, config, render, server } from '../fixtures.ts';
import { jobId, legacy, oldLibrary, parse, rejects } from '../parsed.ts';

test('R3 the launch token is a reference to the Secret of the deployment', () => {
  const { main } = parse();
  assert.equal(
    main.env.find(({ name }) => name === 'CHUTES_LAUNCH_JWT'),
    {
      name: 'CHUTES_LAUNCH_JWT',
      valueFrom: { secretKeyRef: { name: 'launch-1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed', key: 'token' } },
    },
  );
});

test('R3 a library that needs a token has a config id, an older one has none', () => {
  rejects({ spec: { configId: undefined } }, /R3: config id is absent, but library version 0.4.2 needs a launch token/);
  rejects({ chute: legacy, spec: { configId: jobId } }, /R3: config id is .* but library version 0.2.57 knows no/);
  const { main } = parse({ chute: legacy });
  assert.not.ok(main.env.some(({ name }) => name === 'CHUTES_LAUNCH_JWT' || name === 'CHUTES_EXTERNAL_HOST'));
});

test('R6 process 1 is the chutes command, word for word, as user 1000', () => {
  const accounts = ['--miner-ss58', config.hotkey, '--validator-ss58', server.validator];
  assert.equal(parse().main.command, ['chutes', 'run', 'llama:chute', '--port', '8000', ...accounts]);
  const seed = ['--graval-seed', '9223372036854775807'];
  assert.equal(parse({ chute: legacy }).main.command, [
    'chutes',
    'run',
    'llama:chute',
    '--port',
    '8000',
    ...seed,
    ...accounts,
  ]);
  assert.equal(parse().pod.securityContext, { runAsUser: 1000, runAsGroup: 1000 });
});

test('R6 a library without a token is not started on a server without a seed', () => {
  rejects({ chute: legacy, server: { seed: undefined } }, /R6: server gpu-07 has no GraVal seed, but .* 0.2.57/);
});

test('R8 nothing is mounted into the image but cache, scratch, shared memory and the source', () => {
  const paths = (change: Case) => parse(change).main.volumeMounts.map(({ mountPath }) => mountPath);
  assert.equal(paths({}), ['/cache', '/tmp', '/dev/shm']);
  assert.equal(paths({ chute: oldLibrary }), ['/cache', '/tmp', '/dev/shm', '/app/llama.py']);
  for (const filename of ['..', '.', 'a/b.py', '..data', '']) {
    rejects({ chute: { ...oldLibrary, filename } }, /R8: file name is/);
  }
});

test('R9 the chute container keeps the Kubernetes defaults but for IPC_LOCK', () => {
  const { main, job: rendered } = parse();
  assert.equal(main.securityContext, { capabilities: { add: ['IPC_LOCK'] } });
  assert.not.ok('automountServiceAccountToken' in rendered.spec.template.spec);
});

test('R14 a Job has no TTL and is never retried', () => {
  const spec = Object.entries(parse().job.spec).filter(([key]) => key !== 'template');
  assert.equal(Object.fromEntries(spec), { backoffLimit: 0, completions: 1, parallelism: 1 });
});

test('R20 chute images are always pulled, our own only when they are not pinned by digest', () => {
  const { main, init } = parse();
  assert.is(main.imagePullPolicy, 'Always');
  assert.is(
    main.image,
    '5fhnew46xgxgs5muiveu4sbtygbzmstuspzc92uhjjm694ty.localregistry.chutes.ai:30500/alice/vllm:1.2.3-p4',
  );
  assert.is(init.imagePullPolicy, 'Always');
  const cacheCleaner = `registry.example/cache-cleaner:0.1.0@sha256:${'a'.repeat(64)}`;
  const pinned = parse({ config: { images: { ...config.images, cacheCleaner } } }).init;
  assert.equal([pinned.image, pinned.imagePullPolicy], [cacheCleaner, 'IfNotPresent']);
});

test('R20 K10 with registry mode direct an image comes from the registry of its validator, else through the proxy; nothing is guessed from versions', () => {
  for (const chutesVersion of ['0.4.2', '0.6.0', '1.5.2'])
    assert.match(
      parse({ chute: { chutesVersion } }).main.image,
      /\.localregistry\.chutes\.ai:30500\/alice\/vllm:1\.2\.3-p4$/,
    );
  const direct = configFor(config, { registryMode: 'direct' });
  assert.is(parse({ config: direct }).main.image, 'registry.chutes.ai/alice/vllm:1.2.3-p4');
  rejects({ config: { ...direct, validators: [] } }, /R10/);
});

test('R21 requests equal limits, sized by the GPUs, without a GPU resource', () => {
  const { main, init } = parse({ spec: { diskGb: 250 } });
  assert.equal(main.resources.requests, { cpu: '8', memory: '160Gi', 'ephemeral-storage': '250Gi' });
  for (const { resources } of [main, init]) assert.equal(resources.limits, resources.requests);
  assert.not.match(render(), /nvidia\.com/);
  rejects({ server: { memoryPerGpu: 0 } }, /R21: memoryGi is 0/);
  rejects({ server: { cpuPerGpu: 1.3 } }, /R21: cpu is 2.6/);
  rejects({ spec: { diskGb: 0 } }, /R21: diskGb is 0/);
});

test('R21 shared memory never takes more than half of the memory limit', () => {
  const shm = (memoryPerGpu: number) =>
    parse({ server: { memoryPerGpu } }).pod.volumes.find(({ name }) => name === 'shm')?.emptyDir;
  assert.equal(shm(80), { medium: 'Memory', sizeLimit: '16Gi' });
  assert.equal(shm(5), { medium: 'Memory', sizeLimit: '5Gi' });
  assert.equal(shm(1), { medium: 'Memory', sizeLimit: '1Gi' });
});

test('a dry run of the cache holds for the cleaner before each chute, too', () => {
  const dryRunOf = (dryRun: boolean) =>
    parse({ config: { cache: { ...config.cache, dryRun } } }).init.env.find(({ name }) => name === 'CACHE_DRY_RUN');
  assert.equal([dryRunOf(true)?.value, dryRunOf(false)], ['true', undefined]);
});

test('R31 the only host paths are the cache and the folder of the chute in it', () => {
  const { pod, init, main } = parse();
  const paths = pod.volumes.flatMap((volume) => ('hostPath' in volume ? [volume.hostPath] : []));
  assert.equal(paths, [
    { path: `/var/snap/cache/${chute.chuteId}`, type: 'DirectoryOrCreate' },
    { path: '/var/snap/cache', type: 'DirectoryOrCreate' },
  ]);
  assert.equal(init.volumeMounts, [{ name: 'raw-cache', mountPath: '/cache' }]);
  assert.is(
    main.volumeMounts.find(({ name }) => name === 'raw-cache'),
    undefined,
  );
});

const probes: [version: string | undefined, port: number][] = [
  ['0.3.0', 8000],
  ['0.3.2', 8000],
  ['0.3.2.rc9', 8000],
  ['0.3.3', 8001],
  ['0.3.3.rc1', 8001],
  [undefined, 8000],
];
for (const [chutesVersion, port] of probes) {
  test(`library ${chutesVersion ?? 'of unknown version'} is probed on port ${port}`, () => {
    const { main } = parse({ chute: { ...oldLibrary, chutesVersion } });
    assert.match(main.readinessProbe?.exec.command.at(-1) ?? '', `http://127.0.0.1:${port}/_alive`);
  });
}

test.run();
