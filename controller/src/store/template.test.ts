import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError } from '../domain/errors.ts';
import { readTar } from './template.ts';

interface Member {
  name: string;
  type?: string;
  content?: string;
  prefix?: string;
}

function tar(members: Member[]): Buffer {
  const blocks = members.map(({ name, type = '0', content = '', prefix = '' }) => {
    const block = Buffer.alloc(512 + Math.ceil(content.length / 512) * 512);
    block.write(name, 0);
    block.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
    block.write(type, 156);
    block.write(prefix, 345);
    block.write(content, 512);
    return block;
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

test('files and folders are read with their content, long names included', () => {
  const long = 'x'.repeat(600);
  const archive = tar([
    { name: '/base', type: '5' },
    { name: '/base/1', content: 'one' },
    { name: 'empty' },
    { name: 'file', prefix: 'a/b', content: long },
  ]);
  assert.equal(
    [...readTar(archive)].map(({ name, kind, content }) => [name, kind, content.toString()]),
    [
      ['/base', 'folder', ''],
      ['/base/1', 'file', 'one'],
      ['empty', 'file', ''],
      ['a/b/file', 'file', long],
    ],
  );
});

const damaged = {
  'a link': tar([{ name: 'passwd', type: '2' }]),
  'a name that leaves the folder': tar([{ name: 'a/../../etc', content: 'x' }]),
  'a content that is cut off': tar([{ name: 'cut', content: 'x'.repeat(600) }]).subarray(0, 1000),
};
for (const [what, archive] of Object.entries(damaged)) {
  test(`${what} is refused`, () => {
    assert.throws(
      () => [...readTar(archive)],
      (error: unknown) => error instanceof MinerError && error.code === 'E-STORE',
    );
  });
}

test.run();
