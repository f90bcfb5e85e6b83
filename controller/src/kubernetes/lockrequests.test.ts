import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type LockRequest, lockLabel, serverLabel } from '../domain/lockrequest.ts';
import { followLockRequests } from './lockrequests.ts';
import { until } from './testcluster.ts';

type Labels = Record<string, string>;

interface Scene {
  labels: Map<string, Labels>;
  asked: LockRequest[];
  warnings: string[];
  /** Throws for a request that shall fail. */
  onAsked: (request: LockRequest) => void;
  /** HTTP status of lists. */
  status: number;
}

/** Argo CD's Applications as an API server keeps them: lists by label, JSON patches with their test. */
async function withApplications(labels: Record<string, Labels>, work: (scene: Scene) => Promise<void>): Promise<void> {
  const scene: Scene = {
    labels: new Map(Object.entries(labels)),
    asked: [],
    warnings: [],
    onAsked: () => {},
    status: 200,
  };
  const root = '/apis/argoproj.io/v1alpha1/namespaces/argo/applications';
  async function answer(request: IncomingMessage): Promise<[status: number, text: string]> {
    const url = new URL(request.url ?? '', 'http://x');
    let body = '';
    for await (const chunk of request) body += chunk;
    if (request.method === 'GET' && url.pathname === root) {
      const key = url.searchParams.get('labelSelector') ?? '';
      const found = [...scene.labels].filter(([, has]) => key in has);
      const items = found.map(([name, has]) => ({ metadata: { name, labels: { ...has } } }));
      return [scene.status, JSON.stringify({ items })];
    }
    const [expected] = JSON.parse(body) as { value: string }[];
    const has = scene.labels.get(url.pathname.slice(root.length + 1));
    assert.is(request.headers['content-type'], 'application/json-patch+json');
    if (!has) return [404, ''];
    if (has[lockLabel] !== expected?.value) return [422, ''];
    delete has[lockLabel];
    return [200, ''];
  }
  const server = createServer((request, response) => {
    void answer(request).then(([status, text]) => response.writeHead(status).end(text));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const config = new KubeConfig();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  config.loadFromClusterAndUser({ name: 'c', server: url, skipTLSVerify: true }, { name: 'u' });
  const stop = followLockRequests({
    config,
    namespace: 'argo',
    log: { info: () => {}, warn: (text: string) => void scene.warnings.push(text) } as never,
    pollMs: 5,
    async onAsked(request) {
      scene.asked.push(request);
      scene.onAsked(request);
    },
  });
  try {
    await work(scene);
  } finally {
    await stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const soon = (what: string, holds: () => boolean) => until(what, holds, 20_000);
const idle = ({ labels }: Scene) => [...labels.values()].every((has) => !(lockLabel in has));

test('what a button asks for is done once, and the label is taken off', async () => {
  const applications = {
    'members-a': { [serverLabel]: 'a', [lockLabel]: 'lock' },
    'chutes-b': { [serverLabel]: 'b', [lockLabel]: 'unlock' },
    'chutes-c': { [serverLabel]: 'c' },
  };
  await withApplications(applications, async (scene) => {
    await soon('labels are off', () => idle(scene));
    assert.equal(scene.asked, [
      { server: 'a', locked: true },
      { server: 'b', locked: false },
    ]);
    assert.equal([...scene.labels.values()], [{ [serverLabel]: 'a' }, { [serverLabel]: 'b' }, { [serverLabel]: 'c' }]);
  });
});

test('what cannot be done is asked for again, said once, and holds up no other', async () => {
  const applications = {
    'members-a': { [serverLabel]: 'a', [lockLabel]: 'lock' },
    'members-b': { [serverLabel]: 'b', [lockLabel]: 'lock' },
  };
  await withApplications(applications, async (scene) => {
    let failures = 3;
    scene.onAsked = ({ server }) => {
      if (server === 'a' && failures-- > 0) throw new Error('main cannot be written');
    };
    await soon('labels are off', () => idle(scene));
    assert.is(scene.asked.filter(({ server }) => server === 'a').length, 4);
    assert.is(scene.asked.filter(({ server }) => server === 'b').length, 1);
    assert.equal(scene.warnings, ['buttons of Argo CD are not heard: main cannot be written']);
  });
});

test('a second button pressed meanwhile is done, too', async () => {
  await withApplications({ 'members-a': { [serverLabel]: 'a', [lockLabel]: 'lock' } }, async (scene) => {
    scene.onAsked = ({ locked }) => {
      const labels = scene.labels.get('members-a');
      if (locked && labels) labels[lockLabel] = 'unlock';
    };
    await soon('labels are off', () => idle(scene));
    assert.equal(
      scene.asked.map(({ locked }) => locked),
      [true, false],
    );
  });
});

test('a label that says something else, or is on an Application of no server, is taken off and does nothing', async () => {
  const applications = { 'members-a': { [serverLabel]: 'a', [lockLabel]: 'drain' }, other: { [lockLabel]: 'lock' } };
  await withApplications(applications, async (scene) => {
    await soon('labels are off', () => idle(scene));
    assert.equal(scene.asked, []);
  });
});

test('an API server that refuses is said once, and looked at again', async () => {
  await withApplications({ 'members-a': { [serverLabel]: 'a', [lockLabel]: 'lock' } }, async (scene) => {
    scene.status = 403;
    await soon('it is said', () => scene.warnings.length > 0);
    scene.status = 200;
    await soon('labels are off', () => idle(scene));
    assert.equal(scene.warnings, ['buttons of Argo CD are not heard: HTTP 403']);
  });
});

test.run();
