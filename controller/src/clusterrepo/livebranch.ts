// Branch `live`, which belongs to the machine: a batch of decisions is rendered, read back, guarded as a whole tree and committed on
// the commit it was decided on. What breaks a rule or is out of date is not written at all.

import { isDeepStrictEqual } from 'node:util';
import type { Chute } from '../domain/chute.ts';
import type { Clock } from '../domain/clock.ts';
import { configFor, type MinerConfig } from '../domain/config.ts';
import type { Decision, DeployDecision } from '../domain/decision.ts';
import type { DeploymentSpec } from '../domain/deployment.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import type { CommittedTree, LiveBatch, LiveTree, MainTree } from '../domain/ports.ts';
import type { Server } from '../domain/server.ts';
import type { guardTree, Violation } from './guard.ts';
import { commitInParts } from './halving.ts';
import { type LiveState, type OnBadFile, openLiveTree } from './livetree.ts';
import { type ParsedManifest, parseManifest } from './manifest.ts';
import { commitMessage, explanationOf } from './message.ts';
import { deploymentPath } from './misfits.ts';
import { makeObject, type NewObject } from './objects.ts';
import { createQueue } from './queue.ts';
import type { Repository } from './repository.ts';

export interface RenderContext {
  config: MinerConfig;
  server: Server;
  chute: Chute;
  /** Why it was decided, in one line. */
  explanation?: string;
}

export type Configuration = Pick<MainTree, 'config' | 'servers'>;

export interface LiveOptions {
  /** YAML text of one deployment; the same inputs give the same bytes. */
  render: (spec: DeploymentSpec, context: RenderContext) => string;
  /** What a deployment is rendered and guarded with; undefined when server or chute are not known any more. */
  lookup: (spec: DeploymentSpec) => { server: Server; chute: Chute } | undefined;
  guard: typeof guardTree;
  /** Called once for every file on `live` that cannot be read or breaks a rule by itself. */
  onBadFile: OnBadFile | undefined;
  clock: Clock;
  mainAt: (commit: string) => Promise<Configuration>;
}

export interface LiveBranch {
  read(): Promise<LiveTree>;
  /** In smaller parts when the push takes too long: `landed` tells which decisions did when it is not all. */
  commit(batch: LiveBatch): Promise<CommittedTree>;
  /** On branch `proposed`, whose tree then is that of `live` with the decisions. */
  propose(batch: LiveBatch): Promise<string>;
}

interface Draft {
  files: Map<string, ParsedManifest>;
  changes: Map<string, string | undefined>;
  blobs: NewObject[];
  /** New or different files. */
  changed: Set<string>;
  violations: Violation[];
}

const violationsInMessage = 5;

function guardError(violations: readonly Violation[]): MinerError {
  const lines = violations.map(({ code, paths, message }) => `${code}: ${message} (${paths.slice(0, 3).join(', ')})`);
  const more = lines.length > violationsInMessage ? `; and ${lines.length - violationsInMessage} more` : '';
  return new MinerError('E-GUARD', `nothing is committed: ${lines.slice(0, violationsInMessage).join('; ')}${more}`, {
    detail: { violations },
  });
}

/** A field that is absent counts as undefined. */
function sameSpec(read: DeploymentSpec, decided: DeploymentSpec): boolean {
  const fields = Object.keys(read) as (keyof DeploymentSpec)[];
  return fields.every((field) => isDeepStrictEqual(read[field], decided[field]));
}

function liveTree({ commit, deployments }: LiveState): LiveTree {
  return { commit, deployments };
}

export function openLiveBranch(repository: Repository, options: LiveOptions): LiveBranch {
  const tree = openLiveTree(repository, options.onBadFile);
  const queue = createQueue();

  function addDeploy(draft: Draft, decision: DeployDecision, { config, servers }: Configuration): void {
    const { spec, decisionId } = decision;
    const path = deploymentPath(spec);
    const refuse = (message: string) => draft.violations.push({ code: 'id-mismatch', paths: [path], message });
    const context = options.lookup(spec);
    if (!context) {
      refuse(`server ${spec.server} or chute ${spec.chuteId} is not known`);
      return;
    }
    let text: string;
    try {
      const own = configFor(config, servers.get(spec.server));
      text = options.render(spec, { config: own, ...context, explanation: explanationOf(decision) });
    } catch (error) {
      draft.violations.push({ code: 'render-failed', paths: [path], message: messageOf(error) });
      return;
    }
    const blob = makeObject('blob', Buffer.from(text));
    if (draft.files.get(path)?.oid === blob.oid) return;
    const manifest = parseManifest(text, path, blob.oid);
    if (manifest.content && !sameSpec(manifest.content.spec, spec)) {
      refuse(`the rendered file of decision ${decisionId} says something else than the decision`);
    }
    draft.files.set(path, manifest);
    draft.changes.set(path, blob.oid);
    draft.blobs.push(blob);
    draft.changed.add(path);
  }

  function makeDraft(state: LiveState, batch: LiveBatch, main: Configuration): Draft {
    const draft: Draft = {
      files: new Map(state.files),
      changes: new Map(),
      blobs: [],
      changed: new Set(),
      violations: [],
    };
    for (const decision of batch.decisions) {
      if (decision.kind === 'deploy') {
        addDeploy(draft, decision, main);
        continue;
      }
      const path = deploymentPath(decision.spec);
      draft.files.delete(path);
      draft.changed.delete(path);
      if (state.files.has(path)) draft.changes.set(path, undefined);
      else draft.changes.delete(path);
    }
    return draft;
  }

  function serversOf({ files, changed }: Draft): Map<string, Server> {
    const servers = new Map<string, Server>();
    for (const path of changed) {
      const spec = files.get(path)?.content?.spec;
      const found = spec && options.lookup(spec);
      if (found) servers.set(spec.server, found.server);
    }
    return servers;
  }

  function demandGuarded(draft: Draft, before: LiveState, config: MinerConfig): void {
    const { files, changed, violations } = draft;
    const found = options.guard(files, {
      servers: serversOf(draft),
      config,
      changed,
      before: before.files,
      gpuCount: (spec) => options.lookup(spec)?.chute.gpuCount,
    });
    // What was wrong before does not stop a change that has no part in it.
    const ours = [...violations, ...found.filter(({ paths }) => paths.some((path) => changed.has(path)))];
    if (ours.length > 0) throw guardError(ours);
  }

  async function draftOn(batch: LiveBatch) {
    const head = await repository.head('live');
    if (head !== batch.base) {
      throw new MinerError('E-GIT-CONFLICT', `branch live is at ${head}, the decisions were made on ${batch.base}`, {
        detail: { branch: 'live', expected: batch.base, found: head },
      });
    }
    const before = await tree.at(head);
    const main = await options.mainAt(batch.configCommit);
    const draft = makeDraft(before, batch, main);
    demandGuarded(draft, before, main.config);
    return { head, before, draft };
  }

  async function propose(batch: LiveBatch): Promise<string> {
    const { head, draft } = await draftOn(batch);
    const { changes, blobs } = draft;
    const message = commitMessage(batch.decisions, batch.configCommit);
    return repository.replace({ branch: 'proposed', base: head, changes, blobs, message, at: options.clock.now() });
  }

  async function commit(batch: LiveBatch): Promise<LiveTree> {
    const { head, before, draft } = await draftOn(batch);
    if (draft.changes.size === 0) return liveTree(before);
    const message = commitMessage(batch.decisions, batch.configCommit);
    const { changes, blobs } = draft;
    const next = await repository.commit({
      branch: 'live',
      base: head,
      changes,
      blobs,
      message,
      at: options.clock.now(),
    });
    return liveTree(tree.adopt(next, draft.files));
  }

  function isCarried({ files }: LiveState, decision: Decision): boolean {
    const found = files.get(deploymentPath(decision.spec));
    if (decision.kind === 'remove') return !found;
    return found?.content !== undefined && sameSpec(found.content.spec, decision.spec);
  }

  async function carries(decisions: readonly Decision[]): Promise<LiveTree | undefined> {
    const state = await tree.at(await repository.head('live'));
    return decisions.every((decision) => isCarried(state, decision)) ? liveTree(state) : undefined;
  }

  return {
    read: () => queue(async () => liveTree(await tree.at(await repository.head('live')))),
    commit: (batch) => queue(() => commitInParts(batch, { commit, carries })),
    propose: (batch) => queue(() => propose(batch)),
  };
}
