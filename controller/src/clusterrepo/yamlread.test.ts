import { toYaml } from '@miner/manifests/yaml.ts';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseAllDocuments, stringify } from 'yaml';
import { readSimpleYaml, readYaml } from './yamlread.ts';

function fullParser(text: string): unknown[] | undefined {
  const documents = [...parseAllDocuments(text)];
  return documents.some(({ errors }) => errors.length > 0) ? undefined : documents.map((document) => document.toJS());
}

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.string({ unit: fc.constantFrom('a', 'b', ' ', '\n', '-', ':', '#', '"', '1'), maxLength: 12 }),
  fc.constantFrom('chutes/chute-id', 'true', 'no', '30000', '1.5', 'import os\n\nprint(1)\n', '|', '- a', 'a:', '---'),
);
const keys = fc
  .oneof(fc.constantFrom('name', 'chutes-miner.io/gpu-ids', 'a:b', 'no'), text)
  .filter((key) => key !== '__proto__');
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small' },
    fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null)),
    fc.array(tie('json'), { maxLength: 3 }),
    fc.dictionary(keys, tie('json'), { maxKeys: 3, noNullPrototype: true }),
  ),
}));

test('the simple reader gives what the full parser gives, or nothing', () => {
  let read = 0;
  fc.assert(
    fc.property(json, fc.boolean(), (data, ours) => {
      const document = { kind: 'Test', data };
      const yaml = ours ? toYaml([document as never, { kind: 'Other' }]) : stringify(document);
      const simple = readSimpleYaml(yaml);
      if (simple) {
        read++;
        assert.equal(simple, fullParser(yaml));
      }
    }),
    { numRuns: 500 },
  );
  assert.ok(read > 100, `the simple reader read ${read} of 500`);
});

test('a text changed at one place is read as the full parser reads it, or not at all', () => {
  const base =
    'apiVersion: v1\nkind: Service\nspec:\n  ports:\n    - name: "a"\n      port: 8000\n    - x\n  code: |\n    a\n     b\n';
  const splice = fc.tuple(
    fc.nat({ max: base.length }),
    fc.nat({ max: 2 }),
    fc.string({
      unit: fc.constantFrom(' ', '\n', '-', ':', '#', '"', '|', 'a', '1', '&', '*', '{', '\t', '---\n'),
      maxLength: 3,
    }),
  );
  fc.assert(
    fc.property(splice, ([at, cut, insert]) => {
      const changed = base.slice(0, at) + insert + base.slice(at + cut);
      const simple = readSimpleYaml(changed);
      if (simple) assert.equal(simple, fullParser(changed), changed);
    }),
    { numRuns: 2000 },
  );
});

test('forms beyond the simple ones go to the full parser', () => {
  for (const yaml of ['a: {b: [1, 2]}\n', 'a: 1.5\n', "a: 'b'\n", '# note\na: b\n', 'a: >\n  folded\n  text\n']) {
    assert.is(readSimpleYaml(yaml), undefined, yaml);
    assert.equal(readYaml(yaml), { documents: fullParser(yaml), literal: false }, yaml);
  }
});

test('what is not YAML, repeats a key or uses an alias is refused', () => {
  const cases: [string, RegExp][] = [
    ['a: [1\n', /not valid YAML/],
    ['a: 1\na: 2\n', /not valid YAML.*unique/],
    ['a: &x 1\nb: *x\n', /aliases/],
    ['a: !secret b\n', /not valid YAML/],
  ];
  for (const [yaml, message] of cases) {
    assert.throws(
      () => readYaml(yaml),
      (error: { code: string; message: string }) => error.code === 'E-GUARD' && message.test(error.message),
      yaml,
    );
  }
});

test.run();
