// What is broken on purpose, scene by scene: each scene has to fail when the thing that it is about does not work. A cause is a small change
// of the sources; `seen` is what the scene must complain of.

import { join } from 'node:path';
import type { Scene } from '../scene.ts';
import { activeOn, nameOf } from '../words.ts';

export interface Edit {
  file: string;
  /** Occurs once in the file. */
  find: string;
  replace: string;
}

export interface Cause {
  /** How its name begins. */
  scene: string;
  what: string;
  edits: Edit[];
  seen: RegExp;
  /** With the cause at work, before the scene. */
  before?: (scene: Scene) => Promise<unknown>;
  /** What else has to be put right afterwards. */
  mend?: (scene: Scene) => Promise<void>;
}

const [gepetto, roles, verification, clusterrepo, kubernetes] = [
  'gepetto',
  'roles',
  'verification',
  'clusterrepo',
  'kubernetes',
].map((folder) => join('controller/src', folder)) as [string, string, string, string, string];

function edit(file: string, find: string, replace: string): Edit {
  return { file, find, replace };
}

/** The first look at the chute decides, for the life of the process. */
const firstVersion = ` version: (globalThis.firstSeen ??= new Map()).get(chute.chuteId) ??
  (globalThis.firstSeen.set(chute.chuteId, chute.version), chute.version),`;

const restartArgoCd = ({ fleet }: Scene) => fleet.argocd.restart();

/** Breaks the first scene: nothing after it can begin. */
export const atTheStart: Omit<Cause, 'scene'> = {
  what: 'Applications look at folders that are not there',
  edits: [edit('manifests-src/constructs/application.ts', '{ path: folder, dir', "{ path: folder + '-not-there', dir")],
  seen: /Deployment chutes\/controller of control/,
};

/** In the order of the scenes. */
export const causes: Cause[] = [
  {
    scene: 'a server whose file is pushed to main',
    what: 'files of servers are not looked at',
    edits: [edit(join(roles, 'inventory.ts'), 'if (!known.has(server.name) &&', 'if (false &&')],
    seen: /is in the inventory, verified/,
  },
  {
    scene: 'a server that is set up by hand',
    what: 'the server is not written to main',
    edits: [edit(join(verification, 'inventory-steps.ts'), 'await deps.repo.writeServer(record.request);', '')],
    seen: /Application \S+ is synced/,
  },
  {
    scene: 'a bounty becomes a commit',
    what: 'the launch token does not reach the server',
    edits: [edit(join(roles, 'launcher.ts'), 'await members.writeLaunchSecret(', 'void (')],
    seen: /deployments of \S+ are active/,
  },
  {
    scene: 'a chute of which more is wanted',
    what: 'one instance is enough',
    edits: [edit(join(gepetto, 'candidates.ts'), 'Math.max(0, utilization.targetCount -', 'Math.max(0, 1 -')],
    seen: /3 deployments of \S+ are active/,
  },
  {
    scene: 'a chute of which more is wanted',
    what: 'a GPU is given out twice, and the guard lets it through',
    edits: [
      edit(join(gepetto, 'room.ts'), 'free.splice(0, gpuCount)', 'free.slice(0, gpuCount)'),
      edit(
        join(clusterrepo, 'guard.ts'),
        'export function guardTree(tree: Tree, context: GuardContext): Violation[] {',
        '$& return [];',
      ),
    ],
    seen: /3 deployments of \S+ are active|Expected values/,
  },
  {
    scene: 'a new version takes the place',
    what: 'the version that was seen first is deployed for ever',
    edits: ['decide.ts', 'rolling.ts'].map((file) =>
      edit(join(gepetto, file), ' version: chute.version,', firstVersion),
    ),
    seen: /the new version is active/,
  },
  {
    scene: 'a deployment that a person asks to remove',
    what: 'the wish is ignored',
    edits: [edit(join(gepetto, 'statements.ts'), 'if (world.undeployRequests.has(spec.deploymentId))', 'if (false)')],
    seen: /left git|operator/,
  },
  {
    scene: 'a job is taken',
    what: 'offers of jobs are not taken',
    edits: [edit(join(gepetto, 'candidates.ts'), 'if (!world.jobs?.size) return [];', 'return [];')],
    seen: /the job runs/,
  },
  {
    scene: 'what earns clearly more',
    what: 'nobody is ever removed for something better',
    edits: [
      edit(join(gepetto, 'clearing.ts'), 'const known = site.clearings[count];', 'return null; const known = null;'),
    ],
    seen: /1 deployments of \S+ are active/,
  },
  {
    scene: 'a Job that somebody deletes by hand',
    what: 'neither a lost instance nor a dead pod ends a deployment',
    edits: [
      edit(join(gepetto, 'statements.ts'), 'if (row?.instanceGoneAt !== undefined)', 'if (false)'),
      edit(join(gepetto, 'reconcile.ts'), 'if (ended && !(', 'if (false && !('),
    ],
    seen: /the deployment has left git/,
  },
  {
    scene: 'a failed Job is not made again',
    what: 'a failed pod is not noticed',
    edits: [edit(join(gepetto, 'reconcile.ts'), 'if (ended && !(', 'if (false && !(')],
    seen: /it has failed and left git/,
  },
  {
    scene: 'a deploy that a person reverts',
    what: 'what a person took out is decided anew at once',
    edits: [
      edit(
        join(gepetto, 'plan.ts'),
        'failures: avoidReverted(learnt.failures, bookkeeping.reverted, now) };',
        'failures: learnt.failures };',
      ),
    ],
    seen: /deeply equal|it is known as reverted|Expected values to be strictly equal/,
  },
  {
    scene: 'a pause by a commit on main',
    what: 'the mode is not looked at',
    edits: [edit(join(gepetto, 'plan.ts'), "policy.mode === 'paused' ? [] : found", 'found')],
    seen: /deeply equal|is told that the pause/,
  },
  {
    scene: 'a manifest that cannot be applied',
    what: 'what does not follow from main stays on live',
    edits: [edit(join(clusterrepo, 'rerender.ts'), 'if (!files.has(path)) found.changes.set(path, undefined);', '{}')],
    seen: /Gepetto takes the file off live/,
  },
  {
    scene: 'a cordoned node keeps',
    what: 'a cordon is not seen',
    edits: [edit(join(kubernetes, 'nodes.ts'), 'node.spec?.unschedulable ?? false', 'false')],
    seen: /it is told/,
  },
  {
    scene: 'a cordoned node keeps',
    what: 'a cordon is told, but not heeded',
    edits: [edit(join(gepetto, 'room.ts'), "=== 'healthy' && health.closed === undefined", "=== 'healthy'")],
    seen: /deeply equal/,
  },
  {
    scene: 'a locked server keeps',
    what: 'a lock is not heeded',
    edits: [edit(join(gepetto, 'room.ts'), 'server.locked ||', '')],
    seen: /deeply equal|is active on/,
  },
  {
    scene: 'a server is locked and unlocked',
    what: 'nobody looks for the wish',
    edits: [edit(join(roles, 'serve-controller.ts'), 'if (argocd) started', 'if (false) started')],
    seen: /lock is on main/,
  },
  {
    scene: 'a server that is dead for minutes',
    what: 'silence of a server is not noticed',
    edits: [
      edit(
        join(kubernetes, 'health.ts'),
        '    health = { ...health, state, since: clock.now() };',
        "    if (state === 'unhealthy') return;\n$&",
      ),
    ],
    seen: /it is noticed/,
    async mend({ fleet }) {
      const [, second] = fleet.servers;
      await second?.powerOn();
    },
  },
  {
    scene: 'while Argo CD is away',
    what: 'what is not there soon is given up',
    edits: [
      edit(join(gepetto, 'reconcile.ts'), 'const appearGraceMs = 120_000;', 'const appearGraceMs = 1_000;'),
      edit(join(gepetto, 'reconcile.ts'), 'snapshotAt >= seen.snapshotAt + twiceApartMs;', 'true;'),
      edit(join(gepetto, 'reconcile.ts'), 'health.syncedAt, since)', 'now, since)'),
    ],
    seen: /nobody lost patience|two are committed|are active/,
    mend: restartArgoCd,
  },
  {
    scene: 'after a commit Argo CD looks at once',
    what: 'Argo CD is not told of commits',
    edits: [
      edit(
        join(kubernetes, 'applications.ts'),
        '      for (const name of names) {\n        const size',
        '      return;\n$&',
      ),
    ],
    seen: /are active/,
  },
  {
    scene: 'after a commit Argo CD looks at once',
    what: 'all Applications are told of every commit',
    edits: [
      edit(
        join(roles, 'controller.ts'),
        'folders.flatMap((path) => applicationOf(path) ?? [])',
        "[...members.nodes().keys()].map((name) => 'chutes-' + name)",
      ),
    ],
    seen: /nobody asked for the other one|refresh/,
  },
  {
    scene: 'a database that is dropped',
    what: 'nobody asks the validator for what it has verified',
    edits: [
      edit(join(verification, 'recall.ts'), "if (node.labels['chutes/tee'] === 'true') return false;", 'return false;'),
    ],
    seen: /inventory and deployment are known again/,
  },
  {
    scene: 'seed and launch tokens are in no commit',
    what: 'a launch token is logged',
    edits: [edit(join(roles, 'launcher.ts'), 'const { configId, token } = answer;', '$&console.log(token);')],
    seen: /a token is in .*controller\.log/,
    before: (scene) => activeOn(scene, nameOf(scene, 0)),
  },
  {
    scene: 'a stranger who empties live',
    what: 'an emptied live is taken for a wish',
    edits: [edit(join(clusterrepo, 'follow.ts'), "const emptied = branch === 'live' &&", 'const emptied = false &&')],
    seen: /it is told/,
    mend: restartArgoCd,
  },
];
