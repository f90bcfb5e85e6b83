// What miners report on themselves (protocol.md 6.5): taken under their signature, kept, and listed for everybody. That the hash is also on
// the chain is for others to compare; there is no chain here.

import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { bodyHash } from './auth.ts';
import { type Answer, bodyAs, type Call, Refusal, type Route } from './http.ts';
import type { AuditState } from './records.ts';
import { iso, type World } from './world.ts';

const mostKept = 200;

const metric = z.object({
  chute_id: z.string(),
  deployment_id: z.string(),
  function: z.string(),
  total_seconds: z.number(),
  total_count: z.number(),
});

const naiveTime = z.iso.datetime({ local: true, offset: true });

const deployment = z.object({
  deployment_id: z.string(),
  validator: z.string(),
  chute_id: z.string(),
  version: z.string(),
  instance_id: z.string().nullable(),
  created_at: naiveTime,
  verified_at: naiveTime.nullable(),
  deleted_at: naiveTime.nullable(),
});

const report = z.object({
  miner_hotkey: z.string(),
  start_time: z.iso.datetime({ offset: true }),
  end_time: z.iso.datetime({ offset: true }),
  prometheus_message: z.string().nullish(),
  prometheus_metrics: z.array(metric),
  deployment_audit: z.array(deployment),
});

/** An entry without the report itself. */
function entryItem(entry: AuditState): Record<string, unknown> {
  return {
    entry_id: entry.entryId,
    hotkey: entry.minerHotkey,
    block: entry.block,
    path: `${entry.minerHotkey}/${entry.sha256}.json`,
    created_at: iso(entry.createdAt),
    start_time: entry.startTime,
    end_time: entry.endTime,
  };
}

function upload(world: World, call: Call): Answer {
  const { 'x-chutes-block': block } = call.headers;
  if (typeof block !== 'string' || !/^\d{1,10}$/.test(block))
    throw new Refusal(400, 'X-Chutes-Block is no block number');
  const content = bodyAs(call, report);
  if (content.miner_hotkey !== call.hotkey) throw new Refusal(403, 'the report is of another miner');
  if (Date.parse(content.start_time) >= Date.parse(content.end_time))
    throw new Refusal(400, 'the time ends before it starts');
  const entry: AuditState = {
    entryId: randomUUID(),
    minerHotkey: call.hotkey,
    block: Number(block),
    sha256: bodyHash(call.body),
    createdAt: world.clock.now(),
    startTime: content.start_time,
    endTime: content.end_time,
    report: content,
  };
  world.state.audits = [...world.state.audits, entry].slice(-mostKept);
  world.changed();
  return { body: entryItem(entry) };
}

export function auditRoutes(world: World): Route[] {
  return [
    { method: 'POST', path: '/audit/miner_data', signed: 'hash', handle: (call) => upload(world, call) },
    {
      method: 'GET',
      path: '/audit/',
      signed: 'none',
      handle: () => ({ body: world.state.audits.map(entryItem).reverse() }),
    },
  ];
}
