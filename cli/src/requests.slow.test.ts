// Our command line sends what upstream's sends: method, path, header family, signed text; with a new nonce for each request.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { prepare, type TestContext } from './testing/context.ts';
import {
  chuteId,
  deployment,
  deploymentId,
  kubeconfig,
  remoteInventory,
  remoteNodes,
  remoteServer,
  server,
} from './testing/shapes.ts';
import { stream, type Upstream } from './testing/upstream.ts';

const test = suite<TestContext>('requests');
prepare(test);

const purged = [{ chute_id: chuteId, chute_name: 'llama', server_id: 'uid-gpu-0', server_name: 'gpu-0', gpu_count: 1 }];

function answerAll({ on }: Upstream): void {
  on('GET /servers/', [server()]);
  on('POST /servers/', stream(['attempting to add node', 'completed server bootstrapping in 12 seconds!']));
  on('GET /servers/gpu-0/lock', server('gpu-0', { locked: true }));
  on('GET /servers/gpu-0/unlock', server('gpu-0', { locked: false }));
  on('GET /servers/gpu-0/delete_preflight', { jobs: [] });
  on('DELETE /servers/gpu-0', { status: 'started', detail: 'deleting' });
  on('DELETE /servers/gpu-0/deployments', { status: 'initiated', deployments_purged: purged });
  on('DELETE /deployments/purge', { status: 'initiated', deployments_purged: purged });
  on(`DELETE /deployments/${deploymentId}`, { status: 'initiated', deployment_purged: deployment() });
  on('GET /servers/kubeconfig', kubeconfig('gpu-0'));
  on('GET /config/kubeconfig', { kubeconfig: JSON.stringify(kubeconfig('gpu-0')) });
  on('GET /miner/servers/', { servers: [remoteServer()] });
  on('GET /miner/inventory', remoteInventory);
  on('GET /miner/nodes/', (_request, response) => {
    response.end(
      remoteNodes()
        .map((node) => `data: ${JSON.stringify(node)}\n\n`)
        .join(''),
    );
  });
  on('DELETE /servers/old', { name: 'old', message: 'deleted' });
  on('GET /miner/instance_logs', (_request, response) => {
    response.end('data: {"log":"hello","cursor":"2026-01-31T12:00:01"}\n\ndata: .\n\ndata: plain\n\n');
  });
}

interface Case {
  command: string;
  /** `METHOD path signed`, in order. */
  requests: string[];
  /** On stdout, as scripts look for it. */
  prints: RegExp;
}

const cases: Case[] = [
  {
    command:
      'add-node --name gpu-0 --validator 5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty --hourly-cost 1.5 --gpu-short-ref h100_sxm --agent-api http://203.0.113.10:32000',
    requests: ['POST /servers/ body'],
    prints: /^2026-01-31T12:00:00.000000 attempting to add node\n.* completed server bootstrapping in 12 seconds!\n$/,
  },
  {
    command: 'delete-node --name gpu-0 --yes',
    requests: ['GET /servers/gpu-0/delete_preflight management', 'DELETE /servers/gpu-0 management'],
    prints: /"status": "started"/,
  },
  {
    command: 'purge-deployments --yes --confirm 5Grwva',
    requests: ['GET /servers/ management', 'DELETE /deployments/purge management'],
    prints: /"status": "initiated"[\s\S]*"chute_name": "llama"/,
  },
  {
    command: `purge-deployment -d ${deploymentId} --yes`,
    requests: ['GET /servers/ management', `DELETE /deployments/${deploymentId} management`],
    prints: /"deployment_purged"/,
  },
  {
    command: 'purge-deployment -n gpu-0 --yes',
    requests: [
      'GET /servers/ management',
      'GET /servers/gpu-0/delete_preflight management',
      'DELETE /servers/gpu-0/deployments management',
    ],
    prints: /"deployments_purged"/,
  },
  {
    command: 'purge-server -n gpu-0 -y',
    requests: [
      'GET /servers/ management',
      'GET /servers/gpu-0/delete_preflight management',
      'DELETE /servers/gpu-0/deployments management',
    ],
    prints: /"server_name": "gpu-0"/,
  },
  {
    command: 'local-inventory',
    requests: ['GET /servers/ management'],
    prints:
      /Server: gpu-0\n[\s\S]*Hourly Cost .*\$1\.50[\s\S]*Active Deployments[\s\S]*llama[\s\S]*Active[\s\S]*GPU Details[\s\S]*79\.2 GB[\s\S]*1980[\s\S]*132[\s\S]*={80}/,
  },
  { command: 'local-inventory --raw-json -n gpu-0', requests: ['GET /servers/ management'], prints: /^\[\n {2}\{/ },
  {
    command: 'remote-inventory',
    requests: ['GET /miner/servers/ miner', 'GET /miner/inventory miner'],
    prints: /Server: gpu-0[\s\S]*uid-gpu-0[\s\S]*h100_sxm[\s\S]*Verified: 2026-01-31 12:00/,
  },
  {
    command: 'remote-inventory --raw-json',
    requests: ['GET /miner/servers/ miner', 'GET /miner/inventory miner'],
    prints: /^\{\n {2}"servers": \[/,
  },
  {
    command: 'scorch-remote --yes --confirm 5Grwva',
    requests: ['GET /miner/servers/ miner', 'DELETE /servers/gpu-0 tee'],
    prints: /Deleting server gpu-0\nsuccessfully deleted gpu-0\n/,
  },
  {
    command: 'delete-remote --name old --yes',
    requests: ['DELETE /servers/old tee'],
    prints: /successfully deleted old/,
  },
  {
    command: 'lock --name gpu-0',
    requests: ['GET /servers/gpu-0/lock management'],
    prints: /^Server gpu-0 lock status is now: True\n$/,
  },
  {
    command: 'unlock --name gpu-0',
    requests: ['GET /servers/gpu-0/unlock management'],
    prints: /^Server gpu-0 lock status is now: False\n$/,
  },
  { command: 'sync-kubeconfig --yes', requests: ['GET /servers/kubeconfig kubeconfig'], prints: /^✓ 1 context/ },
  {
    command: 'sync-node-kubeconfig --agent-api URL --context-name gpu-0 --yes',
    requests: ['GET /config/kubeconfig registration'],
    prints: /^✓ 1 context/,
  },
  {
    command: 'instance-logs --jwt TOKEN -c 2026-01-31T12:00:00',
    requests: ['GET /miner/instance_logs?cursor=2026-01-31T12%3A00%3A00 none'],
    prints: /^hello\nplain\n$/,
  },
];

/** The grouped name of each, which must do the same. */
const grouped: Record<string, string> = {
  'add-node': 'node add',
  'delete-node': 'node delete',
  lock: 'node lock',
  unlock: 'node unlock',
  'purge-deployments': 'deployments purge-all',
  'purge-deployment': 'deployments purge',
  'purge-server': 'deployments purge-node',
  'local-inventory': 'inventory local',
  'remote-inventory': 'inventory remote',
  'scorch-remote': 'inventory scorch-remote',
  'delete-remote': 'inventory delete-remote',
  'sync-kubeconfig': 'kubeconfig sync',
  'sync-node-kubeconfig': 'kubeconfig sync-node',
};

for (const { command, requests, prints } of cases) {
  const [name = ''] = command.split(' ');
  const variants = [command, ...(grouped[name] ? [command.replace(name, grouped[name])] : [])];
  for (const variant of variants) {
    test(`${variant.slice(0, 60)} sends upstream's requests and prints what scripts look for`, async ({
      upstream,
      cli,
    }) => {
      answerAll(upstream);
      const { code, stdout, stderr } = await cli(variant.replace('URL', upstream.url));
      assert.is(code, 0, stderr);
      assert.equal(
        upstream.requests.map((one) => `${one.request} ${one.signed}`),
        requests,
      );
      for (const { signed, parts, headers, request } of upstream.requests) {
        const isValidator = ['miner', 'tee'].includes(signed);
        if (signed === 'none') assert.equal(headers, ['authorization']);
        else if (isValidator)
          assert.equal([parts, headers], [3, ['x-chutes-hotkey', 'x-chutes-nonce', 'x-chutes-signature']], request);
        else {
          const expected = ['x-chutes-miner', 'x-chutes-nonce', 'x-chutes-signature', 'x-chutes-validator'];
          assert.equal([parts, headers], [4, expected], request);
        }
      }
      assert.match(stdout, prints);
      assert.not.match(stdout + stderr, /VERY-SECRET|secret-token|TOKEN/);
    });
  }
}

test('add-node sends the body of upstream', async ({ upstream, cli }) => {
  answerAll(upstream);
  await cli(cases[0]?.command ?? '');
  assert.equal(JSON.parse(upstream.requests[0]?.body ?? ''), {
    name: 'gpu-0',
    validator: '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty',
    hourly_cost: 1.5,
    gpu_short_ref: 'h100_sxm',
    agent_api: 'http://203.0.113.10:32000',
  });
});

test('an inventory in JSON has every field of the answer but no credentials, and keeps 63-bit seeds exact', async ({
  upstream,
  cli,
}) => {
  upstream.on('GET /servers/', (_request, response) => {
    response.end(JSON.stringify([server()]).replace('"seed":null', '"seed":9223372036854775807'));
  });
  const { stdout } = await cli('local-inventory --raw-json');
  assert.match(stdout, /"seed": 9223372036854775807,/);
  const [shown] = JSON.parse(stdout) as Record<string, unknown>[];
  assert.equal(Object.keys(shown ?? {}).sort(), Object.keys(server()).sort());
  assert.is(shown?.kubeconfig, '(not shown)');
});

test('scorch-remote goes on after a failure, says which failed, and ends with 1', async ({ upstream, cli }) => {
  answerAll(upstream);
  upstream.on('GET /miner/servers/', { servers: [remoteServer('bad'), remoteServer('old')] });
  upstream.on('DELETE /servers/bad', { detail: 'it is busy' }, 500);
  const { code, stdout, stderr } = await cli('scorch-remote --yes --confirm 5Grwva');
  assert.is(code, 1);
  assert.match(stdout, /successfully deleted old/);
  assert.match(stderr, /bad was not deleted: .*500.*it is busy/);
  assert.match(stderr, /1 deleted, 1 failed/);
});

test('a validator of the older generation is read through its GPU feed', async ({ upstream, cli }) => {
  answerAll(upstream);
  upstream.on('GET /miner/servers/', { detail: 'Not Found' }, 404);
  const { code, stdout } = await cli('remote-inventory -o name');
  assert.is(code, 0);
  assert.is(stdout, 'uid-gpu-0\n');
});

test('every subcommand of the tee group answers that it is not supported, whatever its options', async ({
  upstream,
  cli,
}) => {
  for (const command of [
    'tee disk --ip 1.2.3.4 --path / --diagnostic',
    'tee start-maintenance -n gpu-0 -y',
    'tee cache-purge',
  ]) {
    const { code, stderr } = await cli(command);
    assert.is(code, 1, command);
    assert.match(stderr, /not supported on GraVal nodes \[E-NOT-SUPPORTED\]/);
  }
  assert.is(upstream.requests.length, 0);
});

test.run();
