import type { Status } from '@miner/controller/roles/status.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Report } from './report.ts';
import { renderView } from './view.ts';

const at = 1_760_000_000_000;

function deployment(
  chuteName: string,
  server: string,
  phase: string,
  minutesAgo: number,
): Status['deployments'][number] {
  const none = {
    instanceId: undefined,
    jobId: undefined,
    tokenAt: undefined,
    secretAt: undefined,
    committedAt: undefined,
  };
  const later = { runningAt: undefined, claimedAt: undefined, verifiedAt: undefined, activatedAt: undefined };
  const end = { instanceGoneAt: undefined, undeployAt: undefined, removedAt: undefined, goneAt: undefined };
  return {
    ...none,
    ...later,
    ...end,
    deploymentId: `${chuteName}-id`,
    chuteId: 'c',
    chuteName,
    version: 'v',
    validator: 'val',
    server,
    configId: 'cfg',
    gpuIds: ['a', 'b'],
    nodePorts: [],
    plannedAt: at - minutesAgo * 60_000,
    phase,
  };
}

const status: Status = {
  now: at,
  hotkey: 'h',
  mode: 'active',
  configCommit: 'm',
  plannedWith: 'm',
  liveCommit: 'l',
  validators: [],
  servers: [
    {
      name: 'gpu-1',
      gpuShortRef: 'h100',
      gpus: 8,
      gpusUsed: 2,
      gpusVerified: 8,
      costPerHour: 16,
      health: 'healthy',
      locked: true,
    },
    {
      name: 'gpu-2',
      gpuShortRef: '4090',
      gpus: 4,
      gpusUsed: 0,
      gpusVerified: 0,
      costPerHour: 1,
      health: 'healthy',
      locked: false,
    },
  ],
  deployments: [
    deployment('late', 'gpu-2', 'active', 61),
    deployment('early', 'gpu-1', 'claimed', 0.5),
    deployment('old', 'gpu-1', 'gone', 90),
  ],
  decisions: [
    {
      decisionId: 'd',
      at,
      kind: 'deploy',
      chuteName: 'early',
      server: 'gpu-1',
      reason: 'bounty',
      because: 'value 2',
      commit: 'c',
    },
  ],
  held: ['many look lost'],
  blocked: [],
};

const report: Report = {
  deployments: { active: 1, starting: 1, draining: 0 },
  decisions: 3,
  commits: 2,
  coldStartP50: {},
  costPerHour: 17,
  score: 1.5,
  violations: 0,
  violationList: [],
};

function render(columns: number): string {
  const news = ['first', 'second', 'third', 'fourth', 'gpu-2 lost power'];
  return renderView({
    status,
    report,
    elapsed: 3700,
    speed: 120,
    hints: ['git -C /tmp/r.git log live'],
    news,
    columns,
  });
}

test('the table shows servers, living deployments by server, decisions with their reason, and the newest news', () => {
  const lines = render(120).split('\n');
  const has = (pattern: RegExp) =>
    assert.ok(
      lines.some((line) => pattern.test(line)),
      String(pattern),
    );
  has(/1h01m of simulated time, 120x/);
  has(
    /1 active, 1 starting, 0 draining {3}cost \$17\.00\/h {3}score 1\.50 {3}3 decisions in 2 commits {3}0 violations/,
  );
  has(/gpu-1 .*h100 .*2\/8 .*healthy .*locked .*\$16\.00/);
  has(/gpu-2 .*4090 .*0\/4 .*verifying/);
  has(/early .*gpu-1 .*2 .*claimed .*30s/);
  has(/late .*gpu-2 .*2 .*active .*1h01m/);
  has(/deploy early on gpu-1: bounty \(value 2\)/);
  has(/gpu-2 lost power/);
  has(/held back: many look lost/);
  has(/git -C \/tmp\/r\.git log live/);
  assert.not(
    lines.some((line) => /│ old/.test(line)),
    'what is gone is not shown',
  );
  assert.not(lines.includes('  first'), 'only the newest news');
  assert.ok(
    lines.findIndex((line) => /early .*claimed/.test(line)) < lines.findIndex((line) => /late .*active/.test(line)),
  );
});

test('long lines are cut to the terminal', () => {
  for (const line of render(60).split('\n')) {
    if (!line.startsWith('git -C') && !/score/.test(line)) assert.ok([...line].length <= 66, line);
  }
});

test.run();
