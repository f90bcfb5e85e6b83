import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startPostgres } from './postgres.ts';

const own = !process.env.DATABASE_URL_TEST;
const program = `
  const { startPostgres } = await import(${JSON.stringify(import.meta.resolve('./postgres.ts'))});
  const { default: postgres } = await import(${JSON.stringify(import.meta.resolve('postgres'))});
  const { url } = await startPostgres();
  const sql = postgres(url);
  const [{ folder }] = await sql\`show data_directory\`.then((rows) => rows.map((row) => ({ folder: row.data_directory })));
  console.log(url + ' ' + folder);
  if (process.argv[1] === 'wait') setInterval(() => undefined, 1000);
  else await sql.end();
`;

async function listens(url: string): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port) });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

for (const how of own ? (['killed', 'forgetful'] as const) : []) {
  test(`a ${how} test leaves neither server nor files behind`, async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, how === 'killed' ? 'wait' : 'end'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [line] = await once(child.stdout, 'data');
    const [url = '', folder = ''] = String(line).trim().split(' ');
    if (how === 'killed') assert.ok((await listens(url)) && child.kill('SIGKILL'));
    await once(child, 'exit');
    for (let i = 0; i < 200 && (existsSync(folder) || (await listens(url))); i++) await sleep(50);
    assert.not.ok(await listens(url));
    assert.not.ok(existsSync(folder));
  });
}

test('a restart breaks the connections and keeps address and data', async () => {
  const server = await startPostgres();
  const sql = postgres(server.url, { max: 1, onnotice: () => undefined });
  const [before] = await sql`select pg_backend_pid() as pid`;
  await sql`create table kept as select 1 as one`;
  await server.restart();
  await sql`select 1`.catch(() => undefined);
  const [after] = await sql`select pg_backend_pid() as pid, (select one from kept) as one`;
  assert.not.equal(after?.pid, before?.pid);
  assert.is(after?.one, 1);
  await sql.end();
  await server.stop();
  await server.stop();
});

test.run();
