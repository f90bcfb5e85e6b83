import { reservedNodePorts } from '@miner/controller/domain/nodeport.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Case, chute, specFor } from '../fixtures.ts';
import { everyKind, job, jobId, parse, rejects, tee, teeJob } from '../parsed.ts';

test('R10 port variables equal the node ports of the Service', () => {
  for (const change of Object.values(everyKind)) {
    const { service, env, main } = parse(change);
    const builtIn: Record<string, string> = { 'TCP:8000': 'CHUTES_PORT_PRIMARY', 'TCP:8001': 'CHUTES_PORT_LOGGING' };
    if (change.chute?.tee) builtIn['TCP:8002'] = 'CHUTES_PORT_ATTESTATION';
    for (const { port, protocol, nodePort, targetPort } of service.spec.ports) {
      const name = builtIn[`${protocol}:${port}`] ?? `CHUTES_PORT_${protocol}_${port}`;
      assert.is(env.get(name), String(nodePort), name);
      assert.is(targetPort, port);
    }
    const variables = [...env.keys()].filter((name) => name.startsWith('CHUTES_PORT_'));
    assert.is(variables.length, service.spec.ports.length);
    assert.is(main.ports?.length, service.spec.ports.length);
  }
});

test('R10 the ports are exactly those of the chute, the job ports only for a job', () => {
  const [primary, logging] = specFor(chute).ports;
  if (!primary || !logging) throw new Error('built-in ports are missing');
  rejects(
    { spec: { ports: [primary] } },
    /R10: ports of the deployment are TCP:8000, but the chute declares TCP:8000 TCP:8001/,
  );
  rejects({ ...job, spec: { jobId, ports: [primary, logging] } }, /R10: .*TCP:2202 TCP:9000 UDP:9000/);
  rejects({ ...job, spec: { ports: specFor({ ...chute, ...job.chute }, { jobId }).ports } }, /R10/);
  rejects(
    { chute: { jobPorts: [{ port: 7999, proto: 'TCP' }] }, spec: { jobId } },
    /R10: port is 7999, but .* 2202 or/,
  );
});

test('R10 the external host is the address of the server', () => {
  assert.is(parse().env.get('CHUTES_EXTERNAL_HOST'), '203.0.113.7');
  rejects({ server: { ip: 'http://203.0.113.7' } }, /R10: host is "http/);
});

test('R11 traffic stays on the node', () => {
  const { service } = parse();
  assert.is(service.spec.externalTrafficPolicy, 'Local');
  assert.equal(service.spec.selector, { 'chutes/deployment-id': '1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed' });
});

test('R12 node ports are in range, not reserved and used once', () => {
  const withPort = (nodePort: number): Case => ({
    spec: { ports: specFor(chute).ports.map((port, i) => (i === 1 ? { ...port, nodePort } : port)) },
  });
  for (const nodePort of [29_999, 32_768, 30_001.5, ...reservedNodePorts]) {
    rejects(withPort(nodePort), new RegExp(`R12: node port of 8001 is ${nodePort}, but a node port is 30000-32767`));
  }
  rejects(withPort(30_000), /R12: node port 30000 is used twice/);
  assert.is(parse(withPort(32_767)).service.spec.ports[1]?.nodePort, 32_767);
});

test('R27 port names are unique, even for one number as TCP and UDP', () => {
  const names = (change: Case) => parse(change).service.spec.ports.map(({ name }) => name);
  assert.equal(names(job), ['chute-8000', 'chute-8001', 'chute-2202', 'chute-9000', 'chute-9000-udp']);
  const udp: Case = { chute: { ...tee, jobPorts: [{ port: 8002, proto: 'UDP' }] }, spec: { jobId } };
  assert.equal(names(udp), ['chute-8000', 'chute-8001', 'chute-8002', 'chute-8002-udp']);
  const same: Case = { chute: { ...tee, jobPorts: [{ port: 8002, proto: 'TCP' }] }, spec: { jobId } };
  assert.equal(names(same), ['chute-8000', 'chute-8001', 'chute-8002'], 'a port of the job that is there already');
});

test('D13 W18 the first extra port has its variable, with and without attestation', () => {
  for (const change of [job, teeJob]) {
    const { env, main } = parse(change);
    assert.ok(env.get('CHUTES_PORT_TCP_2202'));
    assert.ok(main.ports?.some(({ containerPort }) => containerPort === 2202));
    assert.is(env.has('CHUTES_PORT_ATTESTATION'), change === teeJob);
  }
});

test.run();
