// Every role as a process on a real miner's work, and with wrong options: neither the seed nor any password shows in what they print, in
// the process list, in the repository or in what they answer.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createMinerApi } from '@miner/cli/miner-api.ts';
import { stringify } from 'lossless-json';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { startPostgres, type TestPostgres } from '../../test/postgres.ts';
import { startRedis, type TestRedis } from '../../test/redis.ts';
import { freePort } from '../../test/supervised.ts';
import { addServer, coldChute, type Scene, startScene, statusOf, until } from './testing/scene.ts';

interface Process {
  role: string;
  child: ChildProcess;
  output(): string;
  commandLine: string;
}

interface Context {
  scene: Scene;
  postgres: TestPostgres;
  redis: TestRedis;
  running: Process[];
  /** What no one may see. */
  secrets: Record<string, string>;
  file(name: string, text: string): string;
}

const program = fileURLToPath(new URL('../main.ts', import.meta.url));
const passwords = { redis: 'redis-pass-81b3', link: 'link-token-55c7' };
const secrets = suite<Context>('secrets');

secrets.before(async (context) => {
  const [scene, postgres, redis] = await Promise.all([
    startScene(1),
    startPostgres(),
    startRedis({ password: passwords.redis }),
  ]);
  const wallet = JSON.parse(readFileSync(scene.folder.hotkeyFile, 'utf8')) as { secretSeed: string };
  Object.assign(context, {
    scene,
    postgres,
    redis,
    running: [],
    secrets: { seed: wallet.secretSeed.replace('0x', ''), ...passwords },
    file(name: string, text: string) {
      const path = join(scene.folder.path, name);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    },
  });
});

secrets.after(async ({ scene, postgres, redis, running }) => {
  for (const { child } of running) child.kill('SIGKILL');
  await Promise.all([postgres.stop(), redis.stop(), scene.close()]);
});

function start(context: Context, role: string, args: readonly string[]): Process {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, role, ...args], {
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const collect = (chunk: Buffer) => {
    output += chunk;
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const commandLine = readFileSync(`/proc/${child.pid}/cmdline`, 'utf8');
  const started = { role, child, output: () => output, commandLine };
  context.running.push(started);
  return started;
}

function ended({ child }: Process): Promise<number | null> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode);
    else child.once('exit', resolve);
  });
}

function demandNoSecret({ secrets: hidden }: Context, where: string, text: string): void {
  for (const [name, secret] of Object.entries(hidden)) {
    assert.not(text.toLowerCase().includes(secret), `${name} shows in ${where}`);
  }
}

secrets(
  'controller, gepetto, agent, registry-auth and audit-exporter keep their secrets through a whole deployment',
  async (context) => {
    const { scene, postgres, redis, file } = context;
    const { folder, world } = scene;
    const [server] = world.servers;
    assert.ok(server);
    const [api, link, gepettoPort, agentPort, authPort, statusPort] = await Promise.all(
      Array.from({ length: 6 }, freePort),
    );
    const hotkey = ['--hotkey', folder.hotkeyFile];
    const postgresFile = file('postgres-url', postgres.url);
    const connections = [
      ['--repository', folder.repository],
      ['--template', folder.template],
      ['--postgres-file', postgresFile],
      ['--redis-file', file('redis-url', redis.url.replace('redis://', `redis://:${passwords.redis}@`))],
      ['--link-token-file', file('link-token', passwords.link)],
      ['--host', '127.0.0.1'],
    ].flat();
    const listening = ['--port', String(api), '--link-host', '127.0.0.1', '--link-port', String(link)];
    const controller = start(context, 'controller', [...hotkey, ...listening, ...connections]);
    const url = `http://127.0.0.1:${api}`;
    await until(
      () =>
        fetch(`${url}/ping`).then(
          ({ ok }) => ok || undefined,
          () => undefined,
        ),
      'the controller answers',
      60_000,
    );
    const linkUrl = `http://127.0.0.1:${link}`;
    start(context, 'gepetto', ['--controller', linkUrl, '--port', String(gepettoPort), ...connections]);
    const miner = createMinerApi(url, folder.miner);
    await addServer(miner, scene);
    const kubeconfig = file('kubeconfig', world.cluster.kubeconfig(server.name));
    const local = ['--kubeconfig', kubeconfig];
    mkdirSync(join(folder.path, 'agent'));
    const agentPlace = ['--name', server.name, '--state-dir', join(folder.path, 'agent'), '--host', '127.0.0.1'];
    start(context, 'agent', [...hotkey, ...agentPlace, '--port', String(agentPort), ...local]);
    const config = ['--config', join(folder.template, 'miner.yaml'), '--node', server.name];
    const authPorts = ['--port', String(authPort), '--status-port', String(statusPort)];
    start(context, 'registry-auth', [...hotkey, ...config, ...authPorts, ...local]);

    const chute = await until(() => coldChute(world), 'a chute that fits');
    world.validator.setOthers(chute.chuteId, 0);
    world.validator.setTarget(chute.chuteId, 1);
    world.validator.openBounty(chute.chuteId);
    await until(
      async () => (await statusOf({ api: miner })).deployments.find(({ phase }) => phase === 'active'),
      'a deployment is active',
      90_000,
    );
    const places = ['--postgres-file', postgresFile, '--dir', join(folder.path, 'audit'), '--api', world.validator.url];
    const exporter = start(context, 'audit-exporter', [...hotkey, ...places, '--no-chain']);
    assert.is(await ended(exporter), 0, exporter.output());

    for (const path of ['/servers/', '/deployments/', '/decisions', '/status']) {
      demandNoSecret(context, path, stringify(await miner.get(path)) ?? '');
    }
    for (const address of [`${url}/metrics`, `http://127.0.0.1:${gepettoPort}/metrics`, `${url}/openapi.json`]) {
      demandNoSecret(context, address, await (await fetch(address)).text());
    }
    demandNoSecret(
      context,
      'the history',
      execFileSync('git', ['-C', folder.repository, 'log', '-p', '--all'], { encoding: 'utf8' }),
    );
    // What they print while they end belongs to it.
    for (const { child, role } of context.running) if (child.exitCode === null && role !== 'all') child.kill('SIGTERM');
    await Promise.all(context.running.map(ended));
    for (const { role, output, commandLine } of context.running) {
      assert.ok(output().length > 0, `${role} said something`);
      demandNoSecret(context, `the output of ${role}`, output());
      demandNoSecret(context, `the command line of ${role}`, commandLine);
    }
    assert.match(controller.output(), /controller is up/);
  },
);

const walletFaults: Record<string, (wallet: Record<string, unknown>) => string> = {
  'another address': (wallet) =>
    JSON.stringify({ ...wallet, ss58Address: '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY' }),
  'half a file': (wallet) => JSON.stringify(wallet).slice(0, -20),
  'a seed that is too long': (wallet) => JSON.stringify({ ...wallet, secretSeed: `${wallet.secretSeed}00` }),
};

for (const [fault, write] of Object.entries(walletFaults)) {
  secrets(
    `a wallet with ${fault} ends every role that signs with exit code 2 and shows nothing of it`,
    async (context) => {
      const wallet = JSON.parse(readFileSync(context.scene.folder.hotkeyFile, 'utf8')) as Record<string, unknown>;
      const hotkey = ['--hotkey', context.file('bad-wallet', write(wallet))];
      const place = [
        '--kubeconfig',
        context.file('kubeconfig', context.scene.world.cluster.kubeconfig(context.scene.world.servers[0]?.name ?? '')),
        '--node',
        'n',
      ];
      const template = join(context.scene.folder.template, 'miner.yaml');
      const runs = [
        start(context, 'all', [...hotkey, '--dir', join(context.scene.folder.path, 'nowhere')]),
        start(context, 'controller', [...hotkey]),
        start(context, 'agent', [...hotkey, '--name', 'n', ...place.slice(0, 2)]),
        start(context, 'registry-auth', [...hotkey, '--config', template, ...place]),
        start(context, 'audit-exporter', [
          ...hotkey,
          '--postgres-file',
          context.file('url', context.postgres.url),
          '--no-chain',
        ]),
      ];
      const codes = await Promise.all(runs.map(ended));
      for (const [i, { role, output }] of runs.entries()) {
        assert.is(codes[i], 2, `${role}: ${output()}`);
        assert.match(output(), /E-HOTKEY/, role);
        demandNoSecret(context, `the output of ${role}`, output());
      }
    },
  );
}

secrets.run();
