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

/** An API server that answers each PATCH with a status. */
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
    (request, response) => void take(request).then((status) => response.writeHead(status).end()),
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
      applications.refresh(['chutes-gpu-1', 'control']);
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
      applications.refresh(names);
      applications.refresh(names.slice(50));
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
      applications.refresh(['new']);
      await applications.settled();
      assert.equal(warnings, []);
      for (let i = 0; i < 3; i++) {
        applications.refresh(['chutes-gpu-1']);
        await applications.settled();
      }
      assert.equal(warnings, ['Argo CD is not told to look: Application chutes-gpu-1: HTTP 403']);
    },
  );
});

test('a hint that Argo CD may have taken off with the one before is given once more', async () => {
  await atServer(
    () => 200,
    async ({ applications, calls }) => {
      applications.refresh(['control']);
      applications.refresh(['control']);
      await applications.settled();
      const before = calls.length;
      while (calls.length === before) await new Promise((resolve) => setTimeout(resolve, 5));
      await applications.settled();
      assert.is(calls.length, before + 1);
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
  applications.refresh(['control']);
  await applications.settled();
  assert.is(warnings.length, 1);
  assert.match(warnings[0] ?? '', /ECONNREFUSED/);
});

test.run();
