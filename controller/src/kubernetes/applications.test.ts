import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Applications, openApplications } from './applications.ts';

interface Asked {
  applications: Applications;
  calls: string[];
  warnings: string[];
  /** Names of the Applications that were annotated, in order. */
  hinted(): string[];
}

interface Answers {
  /** HTTP status. Default: 200. */
  statusOf?: (name: string, method: string) => number;
  /** What a GET tells. Default: that it was compared with commit `c1`. */
  applicationOf?: (name: string) => object;
  againMs?: number;
  patienceMs?: number;
  quickMs?: number;
}

const compared = (revision: string, phase = 'Succeeded') => ({
  status: { sync: { revision }, operationState: { phase } },
});

/** An API server with Applications. */
async function atServer(answers: Answers, work: (asked: Asked) => Promise<void>): Promise<void> {
  const {
    statusOf = () => 200,
    applicationOf = () => compared('c1'),
    againMs = 60_000,
    patienceMs = 60_000,
    quickMs = 0,
  } = answers;
  const calls: string[] = [];
  const warnings: string[] = [];
  async function take(request: IncomingMessage): Promise<[number, string]> {
    let text = '';
    for await (const chunk of request) text += chunk;
    const name = request.url?.split('/').at(-1) ?? '';
    calls.push(`${request.method} ${request.url} ${request.headers['content-type'] ?? ''} ${text}`.trim());
    return [statusOf(name, request.method ?? ''), JSON.stringify(applicationOf(name))];
  }
  const server = createServer(
    (request, response) => void take(request).then(([status, text]) => response.writeHead(status).end(text)),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const config = new KubeConfig();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  config.loadFromClusterAndUser({ name: 'c', server: url, skipTLSVerify: true }, { name: 'u' });
  const log = { warn: (text: string) => void warnings.push(text) };
  const times = { againMs, patienceMs, quickMs, lookMs: 5 };
  const applications = openApplications({ config, namespace: 'argo', log: log as never, ...times });
  const hinted = () => calls.flatMap((call) => /^PATCH \S+\/(\S+) /.exec(call)?.[1] ?? []);
  try {
    await work({ applications, calls, warnings, hinted });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 2_000 && !isSo(); i++) await sleep(5);
  assert.ok(isSo());
}

test('each Application gets the annotation, and nothing else is written', async () => {
  await atServer({}, async ({ applications, calls, warnings }) => {
    applications.refresh(['chutes-gpu-1', 'control'], 'c1');
    await applications.settled();
    const body = '{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"hard"}}}';
    const path = '/apis/argoproj.io/v1alpha1/namespaces/argo/applications';
    assert.equal([...new Set(calls)].sort(), [
      `GET ${path}/chutes-gpu-1`,
      `GET ${path}/control`,
      `PATCH ${path}/chutes-gpu-1 application/merge-patch+json ${body}`,
      `PATCH ${path}/control application/merge-patch+json ${body}`,
    ]);
    assert.equal(warnings, []);
  });
});

for (const [how, quickMs, isExpected] of [
  ['quickly, are more', 60_000, (most: number) => most > 4 && most <= 16],
  ['slowly, are fewer', 0, (most: number) => most <= 2],
] as const) {
  test(`a hundred are asked for once each, however often, and those under way, when synced ${how}`, async () => {
    const looks = new Map<string, number>();
    const atOnce: number[] = [];
    const answers: Answers = {
      quickMs,
      statusOf(name, method) {
        if (method === 'PATCH') atOnce.push(looks.set(name, 0).size);
        return 200;
      },
      // The annotation is answered too: each is still being synced at the first look.
      applicationOf(name) {
        const seen = looks.get(name);
        if (seen === undefined) return compared('c1');
        looks.set(name, seen + 1);
        if (seen > 1) looks.delete(name);
        return compared('c1', seen > 1 ? 'Succeeded' : 'Running');
      },
    };
    await atServer(answers, async ({ applications, hinted }) => {
      const names = Array.from({ length: 100 }, (_, i) => `chutes-${i}`);
      applications.refresh(names, 'c1');
      applications.refresh(names.slice(50), 'c1');
      await applications.settled();
      assert.equal(hinted().toSorted(), names.toSorted());
      const most = Math.max(...atOnce.slice(-50));
      assert.ok(isExpected(most), `${most} at once`);
    });
  });
}

test('the one Application of a small commit does not wait behind the hundred of a large one', async () => {
  let syncing = true;
  const applicationOf = () => compared('c2', syncing ? 'Running' : 'Succeeded');
  await atServer({ applicationOf }, async ({ applications, hinted }) => {
    applications.refresh(
      Array.from({ length: 100 }, (_, i) => `chutes-${i}`),
      'c1',
    );
    await until(() => hinted().length === 4);
    applications.refresh(['chutes-90'], 'c2');
    syncing = false;
    await applications.settled();
    assert.is(hinted()[4], 'chutes-90');
    assert.is(hinted().length, 100);
  });
});

test('an Application that does not come to its end holds up the others for a while only', async () => {
  const applicationOf = () => compared('c1', 'Running');
  await atServer({ applicationOf, patienceMs: 30 }, async ({ applications, hinted }) => {
    applications.refresh(['a', 'b', 'c', 'd', 'e'], 'c1');
    await applications.settled();
    assert.equal(hinted(), ['a', 'b', 'c', 'd', 'e']);
  });
});

test('an Application that is not there yet is nothing to tell of; a refusal is told once', async () => {
  await atServer({ statusOf: (name) => (name === 'new' ? 404 : 403) }, async ({ applications, warnings }) => {
    applications.refresh(['new'], 'c1');
    await applications.settled();
    assert.equal(warnings, []);
    for (let i = 0; i < 3; i++) {
      applications.refresh(['chutes-gpu-1'], 'c1');
      await applications.settled();
    }
    assert.equal(warnings, ['Argo CD is not told to look: Application chutes-gpu-1: HTTP 403']);
  });
});

test('a hint that Argo CD has taken off without a look at the commit is given once more', async () => {
  await atServer({ againMs: 20 }, async ({ applications, hinted }) => {
    applications.refresh(['control'], 'c2');
    await applications.settled();
    assert.equal(hinted(), ['control', 'control']);
  });
});

test('a look at a later commit heeds the hint; what cannot be asked is hinted once more', async () => {
  let status = 200;
  const answers: Answers = {
    statusOf: (_name, method) => (method === 'GET' ? status : 200),
    applicationOf: () => compared('c3'),
    againMs: 20,
  };
  await atServer(answers, async ({ applications, hinted }) => {
    for (const commit of ['c1', 'c2', 'c3']) applications.refresh(['control'], commit);
    await applications.settled();
    const before = hinted().length;
    applications.refresh(['members-gpu-1'], 'c2');
    applications.refresh(['chutes-gpu-1'], 'c3');
    await applications.settled();
    assert.is(hinted().length, before + 2);
    status = 503;
    applications.refresh(['control'], 'c3');
    await applications.settled();
    assert.is(hinted().length, before + 4);
  });
});

test('a newer commit is hinted for although the Application is still busy with the one before', async () => {
  let phase = 'Running';
  await atServer({ applicationOf: () => compared('c2', phase) }, async ({ applications, hinted }) => {
    applications.refresh(['control'], 'c1');
    await until(() => hinted().length === 1);
    applications.refresh(['control'], 'c2');
    await until(() => hinted().length === 2);
    phase = 'Succeeded';
    await applications.settled();
    assert.is(hinted().length, 2);
  });
});

test('an API that does not answer is told of, and the next hint is sent all the same', async () => {
  const warnings: string[] = [];
  const config = new KubeConfig();
  config.loadFromClusterAndUser({ name: 'c', server: 'http://127.0.0.1:1', skipTLSVerify: true }, { name: 'u' });
  const log = { warn: (text: string) => void warnings.push(text) };
  const applications = openApplications({ config, namespace: 'argo', log: log as never });
  applications.refresh(['control'], 'c1');
  await applications.settled();
  assert.is(warnings.length, 1);
  assert.match(warnings[0] ?? '', /ECONNREFUSED/);
});

test.run();
