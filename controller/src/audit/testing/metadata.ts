// biome-ignore-all lint/style/noRestrictedImports: only tests use this file
// Metadata of a chain for tests: that of a Substrate node as @polkadot/types-support has it, with the pallet Commitments and the transaction
// extensions of the network's chain. The variant numbers of Data are the chain's own: 131 is Sha256.

import { createRequire } from 'node:module';
import type * as Types from '@polkadot/types';

const require = createRequire(import.meta.url);
const { TypeRegistry, Metadata }: typeof Types = require('@polkadot/types');
const substrate: { default: `0x${string}` } = require('@polkadot/types-support/metadata/v14/substrate-hex');

export const commitmentsPallet = 18;

interface Composite {
  name?: string;
  type: number;
}

const composite = (fields: Composite[]): object => ({
  composite: { fields: fields.map((field) => ({ name: null, typeName: null, docs: [], ...field })) },
});
const variant = (variants: { name: string; index: number; fields?: Composite[] }[]): object => ({
  variant: {
    variants: variants.map(({ fields = [], ...one }) => ({
      ...one,
      fields: fields.map((field) => ({ name: null, typeName: null, docs: [], ...field })),
      docs: [],
    })),
  },
});

/** `0x…` of the whole metadata. */
export function chainMetadata(): `0x${string}` {
  const metadata = new Metadata(new TypeRegistry(), substrate.default);
  const content = metadata.asV14.toJSON() as {
    lookup: { types: { id: number; type: { path: string[]; params: unknown[]; def: object; docs: [] } }[] };
    pallets: { name: string; index: number }[];
    extrinsic: { type: number; version: number; signedExtensions: object[] };
  };
  const { types } = content.lookup;

  function idOf(describe: string, fits: (one: (typeof types)[number]) => boolean): number {
    const found = types.find(fits);
    if (!found) throw new Error(`no type ${describe}`);
    return found.id;
  }
  function add(path: string[], def: object): number {
    types.push({ id: types.length, type: { path, params: [], def, docs: [] } });
    return types.length - 1;
  }
  const primitive = (name: string) => idOf(name, ({ type }) => JSON.stringify(type.def) === `{"primitive":"${name}"}`);
  const [u8, u16, u32, u64, u128] = ['U8', 'U16', 'U32', 'U64', 'U128'].map(primitive) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const bytes32 = idOf('[u8; 32]', ({ type }) => JSON.stringify(type.def) === `{"array":{"len":32,"type":${u8}}}`);
  const accountId = idOf('AccountId32', ({ type }) => type.path.at(-1) === 'AccountId32');
  const empty = idOf('()', ({ type }) => JSON.stringify(type.def) === '{"tuple":[]}');

  const data = add(
    ['pallet_commitments', 'types', 'Data'],
    variant([
      { name: 'None', index: 0 },
      { name: 'BlakeTwo256', index: 130, fields: [{ type: bytes32 }] },
      { name: 'Sha256', index: 131, fields: [{ type: bytes32 }] },
      { name: 'ResetBondsFlag', index: 135 },
    ]),
  );
  const list = add([], { sequence: { type: data } });
  const bounded = add(['bounded_collections', 'bounded_vec', 'BoundedVec'], composite([{ type: list }]));
  const info = add(['pallet_commitments', 'types', 'CommitmentInfo'], composite([{ name: 'fields', type: bounded }]));
  const registration = add(
    ['pallet_commitments', 'types', 'Registration'],
    composite([
      { name: 'deposit', type: u64 },
      { name: 'block', type: u32 },
      { name: 'info', type: info },
    ]),
  );
  const netuid = add(['subtensor_runtime_common', 'NetUid'], composite([{ type: u16 }]));
  const calls = add(
    ['pallet_commitments', 'pallet', 'Call'],
    variant([
      {
        name: 'set_commitment',
        index: 0,
        fields: [
          { name: 'netuid', type: netuid },
          { name: 'info', type: info },
        ],
      },
    ]),
  );
  const errors = add(
    ['pallet_commitments', 'pallet', 'Error'],
    variant([
      { name: 'TooManyFieldsInCommitmentInfo', index: 0 },
      { name: 'AccountNotAllowedCommit', index: 1 },
    ]),
  );
  const keys = add([], { tuple: [netuid, accountId] });
  const compact = add([], { compact: { type: u128 } });
  const wrapper = add(
    ['transaction_payment_wrapper', 'ChargeTransactionPaymentWrapper'],
    composite([{ type: compact }]),
  );

  const at = content.pallets.findIndex(({ index }) => index === commitmentsPallet);
  content.pallets.splice(at, 1, {
    name: 'Commitments',
    index: commitmentsPallet,
    storage: {
      prefix: 'Commitments',
      items: [
        {
          name: 'CommitmentOf',
          modifier: 'Optional',
          type: { map: { hashers: ['Identity', 'Twox64Concat'], key: keys, value: registration } },
          fallback: '0x00',
          docs: [],
        },
      ],
    },
    calls: { type: calls },
    events: null,
    constants: [],
    errors: { type: errors },
  } as { name: string; index: number });
  const extensions = content.extrinsic.signedExtensions as { identifier: string }[];
  content.extrinsic.signedExtensions = extensions.flatMap((one) => {
    if (one.identifier !== 'ChargeAssetTxPayment' && one.identifier !== 'SkipCheckIfFeeless') return [one];
    return [
      { identifier: 'ChargeTransactionPaymentWrapper', type: wrapper, additionalSigned: empty },
      { identifier: 'SubtensorTransactionExtension', type: empty, additionalSigned: empty },
    ];
  });
  const whole = { magicNumber: 0x6174656d, metadata: { v14: content } };
  return new Metadata(new TypeRegistry(), whole as never).toHex();
}
