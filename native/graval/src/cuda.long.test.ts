import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { architectures, buildKernels } from './cudabuild.ts';

test('the kernels compile for every listed card, and as PTX for later ones', () => {
  const parts = buildKernels();
  const codes = parts.filter(({ kind }) => kind === 'code').map(({ architecture }) => architecture);
  assert.equal(
    codes.sort((a, b) => a - b),
    architectures,
  );
  assert.equal(
    parts.filter(({ kind }) => kind === 'ptx').map(({ architecture }) => architecture),
    [80],
  );
});

test.run();
