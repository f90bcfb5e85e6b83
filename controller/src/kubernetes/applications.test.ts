import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Applications, openApplications } from './applications.ts';

interface Asked {
  applications: Applications;
  calls: string[];
  warnings: string[];
}

/** An API server that answers each call with a status and, of a GET, an Application that was compared with commit `c1`. */
async function atServer(
  statusOf: (name: string) => number,
  work: (asked: Asked) => Promise<void>,
  againMs = 60_000,
): Promise<void> {
  const calls: string[] = [];
  const warnings: string[] = [];
  async function take(request: IncomingMessage): Promise<number> {
    let text = '';
    for await (const chunk of request) text += chunk;
    const name = request.url?.split('/').at(-1) ?? '';
    calls.push(`${request.method} ${request.url} ${request.headers['content-type']} ${text}`);
    return statusOf(name);
  }
  const server = createServer(
    (request, response) =>
      void take(request).then((status) => response.writeHead(status).end('{"status":{"sync":{"revision":"c1"}}}')),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const config = new KubeConfig();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  config.loadFromClusterAndUser({ name: 'c', server: url, skipTLSVerify: true }, { name: 'u' });
  const log = { warn: (text: string) => void warnings.push(text) };
  const applications = openApplications({ config, namespace: 'argo', log: log as never, againMs });
  await work({ applications, calls, warnings });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

test('each Application gets the annotation, and nothing else is written', async () => {
  await atServer(
    () => 200,
    async ({ applications, calls, warnings }) => {
      applications.refresh(['chutes-gpu-1', 'control'], 'c2');
      await applications.settled();
      const body = '{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"hard"}}}';
      const path = '/apis/argoproj.io/v1alpha1/namespaces/argo/applications';
      assert.equal(calls.sort(), [
        `PATCH ${path}/chutes-gpu-1 application/merge-patch+json ${body}`,
        `PATCH ${path}/control application/merge-patch+json ${body}`,
      ]);
      assert.equal(warnings, []);
    },
  );
});

test('a hundred are asked for once each, however often', async () => {
  await atServer(
    () => 200,
    async ({ applications, calls }) => {
      const names = Array.from({ length: 100 }, (_, i) => `chutes-${i}`);
      applications.refresh(names, 'c2');
      applications.refresh(names.slice(50), 'c2');
      await applications.settled();
      assert.is(new Set(calls).size, 100);
      assert.ok(calls.length <= 108, `${calls.length} calls`);
    },
  );
});

test('an Application that is not there yet is nothing to tell of; a refusal is told once', async () => {
  await atServer(
    (name) => (name === 'new' ? 404 : 403),
    async ({ applications, warnings }) => {
      applications.refresh(['new'], 'c2');
      await applications.settled();
      assert.equal(warnings, []);
      for (let i = 0; i < 3; i++) {
        applications.refresh(['chutes-gpu-1'], 'c2');
        await applications.settled();
      }
      assert.equal(warnings, ['Argo CD is not told to look: Application chutes-gpu-1: HTTP 403']);
    },
  );
});

const untilCalls = async (calls: readonly string[], count: number): Promise<void> => {
  while (calls.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
};

test('a hint that Argo CD has taken off without a look at the commit is given once more', async () => {
  await atServer(
    () => 200,
    async ({ applications, calls }) => {
      applications.refresh(['control'], 'c2');
      applications.refresh(['control'], 'c2');
      await applications.settled();
      const before = calls.length;
      await untilCalls(calls, before + 2);
      await applications.settled();
      assert.equal(
        calls.slice(before).map((call) => call.split(' ')[0]),
        ['GET', 'PATCH'],
      );
    },
    50,
  );
});

test('a hint that was heeded is not given again, one that is in doubt is', async () => {
  let status = 200;
  await atServer(
    () => status,
    async ({ applications, calls }) => {
      applications.refresh(['control'], 'c1');
      await untilCalls(calls, 2);
      status = 503;
      applications.refresh(['control'], 'c1');
      await untilCalls(calls, 5);
      assert.equal(
        calls.map((call) => call.split(' ')[0]),
        ['PATCH', 'GET', 'PATCH', 'GET', 'PATCH'],
      );
    },
    50,
  );
});

test('an API that does not answer is told of, and the next hint is sent all the same', async () => {
  const warnings: string[] = [];
  const config = new KubeConfig();
  config.loadFromClusterAndUser({ name: 'c', server: 'http://127.0.0.1:1', skipTLSVerify: true }, { name: 'u' });
  const log = { warn: (text: string) => void warnings.push(text) };
  const applications = openApplications({ config, namespace: 'argo', log: log as never });
  applications.refresh(['control'], 'c2');
  await applications.settled();
  assert.is(warnings.length, 1);
  assert.match(warnings[0] ?? '', /ECONNREFUSED/);
});

test.run();
