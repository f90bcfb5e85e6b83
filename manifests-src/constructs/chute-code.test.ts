import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Case, render } from '../fixtures.ts';
import { jobId, oldLibrary, parse, rejects, tee } from '../parsed.ts';

test('R4 D22 K7 the source is rendered only for a library that mounts it', () => {
  const source = 'secret = "sauce"\n';
  assert.not.match(render({ chute: { chutesVersion: '0.3.61', code: source } }), /sauce|chute-code/);
  assert.not.match(render({ chute: { ...tee, chutesVersion: '0.3.60', code: source } }), /sauce|chute-code/);
  assert.match(render({ chute: { chutesVersion: '0.3.60', code: source } }), /sauce/);
});

test('R7 the source file is mounted byte for byte', () => {
  const source = fc.oneof(
    fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed()),
    fc.string({ unit: fc.constantFrom('a', '\n', '\r\n', '\t', '    ', '#', ': ', '"', '\u2028', '🐍') }),
  );
  fc.assert(
    fc.property(source, (code) => {
      const { of, main, pod } = parse({ chute: { ...oldLibrary, code } });
      const map = of('ConfigMap');
      assert.is(map.data['llama.py'], code);
      const mount = main.volumeMounts.find(({ name }) => name === 'code');
      assert.equal(mount, { name: 'code', mountPath: '/app/llama.py', subPath: 'llama.py' });
      assert.equal(pod.volumes.at(-1), { name: 'code', configMap: { name: map.metadata.name } });
    }),
    { numRuns: 25 },
  );
});

test('R7 a chute that must mount its source is not rendered without it, nor above the size of a ConfigMap', () => {
  rejects({ chute: { ...oldLibrary, code: undefined } }, /R7: no source is known of chute 4a1e1a50/);
  rejects({ chute: { ...oldLibrary, code: 'é'.repeat(600_000) } }, /R7: llama.py has 1200000 bytes, but .* 1048576/);
});

test('R13 D23 the source ConfigMap is the same for every deployment of the chute', () => {
  const code = (change: Case) => parse(change).of('ConfigMap');
  const other = { deploymentId: jobId, decisionId: jobId, reason: 'bounty' as const };
  assert.equal(code({ chute: oldLibrary, spec: other }), code({ chute: oldLibrary }));
});

test.run();
