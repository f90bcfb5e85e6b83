import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseAllDocuments } from 'yaml';
import { type Json, toYaml } from './yaml.ts';

function readBack(text: string, version: '1.1' | '1.2'): unknown[] {
  return parseAllDocuments(text, { version }).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJSON();
  });
}

const trickyText = fc.oneof(
  fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed()),
  fc.string({
    unit: fc.constantFrom('a', '\n', ' ', '\t', '\r', '#', ':', '-', '"', "'", '|', '\\', '\u0085', '\u2028'),
  }),
  fc.constantFrom(
    'yes',
    'Off',
    '~',
    'null',
    '1e3',
    '0x10',
    '0o17',
    '12:30:45',
    '.5',
    '',
    '=',
    '<<',
    '2024-01-01',
    '1_000',
  ),
  fc.constantFrom(
    'a: b',
    'a #b',
    '- a',
    '---',
    '...',
    '!tag',
    '&a',
    '*a',
    '%x',
    '@x',
    '`x',
    'a:',
    '/a:b',
    '? a',
    '{a',
    '[a',
  ),
);

test('every JSON value reads back as it was, in YAML 1.1 and 1.2', () => {
  const scalar = fc.oneof(trickyText, fc.integer(), fc.boolean(), fc.constant(null));
  const { tree } = fc.letrec<{ tree: Json }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      scalar,
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(
        trickyText.filter((key) => !['__proto__', '<<'].includes(key) && key.length < 100),
        tie('tree'),
        {
          maxKeys: 4,
          noNullPrototype: true,
        },
      ),
    ),
  }));
  const documents = fc.array(
    tree.map((data) => ({ data, after: 'next' })),
    { minLength: 1, maxLength: 3 },
  );
  fc.assert(
    fc.property(documents, (data) => {
      for (const version of ['1.1', '1.2'] as const) assert.equal(readBack(toYaml(data), version), data);
    }),
    { numRuns: 400 },
  );
});

test('a source file is a literal block that a person can read', () => {
  const text = toYaml([{ data: { 'a.py': 'import os\n\nif True:\n    print(1)\n' }, kind: 'ConfigMap' }]);
  assert.is(text, 'data:\n  a.py: |\n    import os\n\n    if True:\n        print(1)\nkind: ConfigMap\n');
});

test('documents are separated, empty collections stay', () => {
  assert.is(
    toYaml([{ a: [] }, { b: {}, c: [[1, 2], { d: 'e' }] }]),
    'a: []\n---\nb: {}\nc:\n  - - 1\n    - 2\n  - d: e\n',
  );
});

test.run();
