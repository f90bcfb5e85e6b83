import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { configError, formatAllowed, formatField, formatFound, nearest } from './problems.ts';

test('a found value is shown short, by its kind, and a secret never', () => {
  const cases: [unknown, string][] = [
    [undefined, 'nothing'],
    [null, 'nothing'],
    [[1, 2], 'a list of 2'],
    [{ a: 1 }, 'a map of fields'],
    ['active', '"active"'],
    [7, '7'],
    ['x'.repeat(100), `"${'x'.repeat(78)}…`],
    [`0x${'5e'.repeat(32)}`, 'what looks like a secret'],
  ];
  for (const [value, shown] of cases) assert.is(formatFound(value), shown);
});

test('what is allowed is said in words of the file, not of the checker', () => {
  const cases: [z.ZodType, unknown, string][] = [
    [z.enum(['active', 'paused']), 'off', '"active", "paused"'],
    [z.string(), 7, 'text'],
    [z.number(), 'x', 'a number'],
    [z.date(), 'x', 'date'],
    [z.string().min(1), '', 'at least 1 character'],
    [z.string().min(2), '', 'at least 2 characters'],
    [z.array(z.number()).max(1), [1, 2], 'at most 1 entry'],
    [z.number().min(3), 1, 'at least 3'],
    [z.number().gt(3), 1, 'more than 3'],
    [z.number().max(3), 4, 'at most 3'],
    [z.number().lt(3), 4, 'less than 3'],
    [z.record(z.string().min(3), z.number()), { a: 1 }, 'at least 3 characters'],
    [z.string().refine(() => false, 'must be a server name'), 'x', 'a server name'],
  ];
  for (const [schema, value, allowed] of cases) {
    const [issue] = schema.safeParse(value).error?.issues ?? [];
    assert.ok(issue);
    assert.is(formatAllowed(issue), allowed);
  }
});

test('the name that is meant is the nearest, and a far one is not offered', () => {
  const known = ['hourlyCost', 'gpuShortRef', 'name'];
  const cases: [string, string | undefined][] = [
    ['hourlycost', 'hourlyCost'],
    ['houryCosts', 'hourlyCost'],
    ['nam', 'name'],
    ['nmae', undefined],
    ['price', undefined],
  ];
  for (const [name, meant] of cases) assert.is(nearest(name, known), meant, name);
  assert.is(nearest('x', []), undefined);
});

test('a problem names file, line and field, and says what is wrong with the whole file too', () => {
  assert.is(formatField(['validators', 0, 'hotkey']), 'validators[0].hotkey');
  const of = (field: string, allowed: string) => ({ file: 'miner.yaml', line: 3, field, found: '7', allowed });
  const error = configError([of('mode', 'text'), of('', '')]);
  assert.is(error.message, 'miner.yaml:3: mode: found 7, allowed: text\nminer.yaml:3: 7');
});

test.run();
