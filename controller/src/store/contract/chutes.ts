// Chutes.

import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import type { Chute } from '../../domain/chute.ts';
import { makeChute, uuid } from './fixtures.ts';
import type { Rule } from './world.ts';

const text = fc.string({ unit: 'binary', maxLength: 12 });
const anyChute: fc.Arbitrary<Chute> = fc.record({
  chuteId: fc.nat({ max: 5 }).map(uuid),
  validator: fc.constantFrom('validator-a', 'validator-b'),
  name: text,
  version: text,
  image: text,
  refStr: text,
  filename: text,
  code: fc.option(text, { nil: undefined }),
  chutesVersion: fc.option(text, { nil: undefined }),
  supportedGpus: fc.array(text, { maxLength: 4 }),
  gpuCount: fc.integer({ min: 1, max: 8 }),
  tee: fc.boolean(),
  preemptible: fc.boolean(),
  disabled: fc.boolean(),
  jobOnly: fc.boolean(),
  jobPorts: fc.array(fc.record({ port: fc.nat(), proto: fc.constantFrom('TCP', 'UDP') }), { maxLength: 3 }),
  effectiveComputeMultiplier: fc.double({ noNaN: true, noDefaultInfinity: true, min: 0, max: 1e6 }),
  bounty: fc.double({ noNaN: true, noDefaultInfinity: true, min: 0, max: 1e9 }),
});

function storable(value: string): string {
  return value.replaceAll('\0', '\u{fffd}');
}

export function chuteContract(rule: Rule): void {
  rule('any chutes come back as they were last given', async ({ store, rows }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyChute, { maxLength: 8 }), async (given) => {
        await rows('delete from chutes');
        await store.saveChutes(given);
        const last = new Map(given.map((chute) => [`${chute.validator} ${chute.chuteId}`, chute]));
        const expected = JSON.parse(JSON.stringify([...last.values()]), (_, value) =>
          typeof value === 'string' ? storable(value) : value,
        ) as Chute[];
        const key = (chute: Chute) => `${chute.validator} ${chute.chuteId}`;
        const sorted = expected
          .map((chute) => ({ ...chute, code: chute.code, chutesVersion: chute.chutesVersion }))
          .sort((a, b) => (key(a) < key(b) ? -1 : 1));
        assert.equal(await store.chutes(), sorted);
      }),
      { numRuns: 25 },
    );
  });

  rule('text that no database takes is stored with a replacement character', async ({ store }) => {
    await store.saveChutes([makeChute(1, { name: 'a\0b\ud800c' })]);
    assert.is((await store.chutes())[0]?.name, 'a\u{fffd}b\u{fffd}c');
  });

  rule('saving replaces the chutes named and leaves the others', async ({ store }) => {
    await store.saveChutes([makeChute(1), makeChute(2)]);
    const changed = makeChute(2, { version: uuid(77), code: undefined, bounty: 500 });
    await store.saveChutes([changed, makeChute(3)]);
    await store.saveChutes([]);
    assert.equal(await store.chutes(), [makeChute(1), changed, makeChute(3)]);
  });

  rule('two validators may have a chute of the same id', async ({ store }) => {
    const other = makeChute(1, { validator: 'another', version: uuid(9) });
    await store.saveChutes([makeChute(1), other]);
    assert.equal(new Set((await store.chutes()).map((chute) => chute.version)), new Set([uuid(1001), uuid(9)]));
  });

  rule('a chute that did not change is not written', async ({ store, rows }) => {
    const given = [makeChute(1), makeChute(2, { code: undefined, chutesVersion: undefined })];
    const versions = () => rows('select chute_id, xmin::text as written from chutes order by chute_id');
    await store.saveChutes(given);
    const before = await versions();
    await store.saveChutes(given);
    assert.equal(await versions(), before);
    await store.saveChutes([makeChute(1), makeChute(2)]);
    const after = await versions();
    assert.equal(after[0], before[0]);
    assert.not.equal(after[1], before[1]);
  });
}
