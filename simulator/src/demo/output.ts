// Where the demo's words go: JSON lines for programs, a redrawn table on a terminal, plain lines when the output is a file or pipe.

import type { Report } from './report.ts';
import { renderView, type ViewInput } from './view.ts';

export interface Output {
  /** One object in JSON, one sentence else. */
  line(object: { type: string } & Record<string, unknown>, sentence: string): void;
  news(sentence: string): void;
  /** A look at everything, about once a second. */
  look(input: Omit<ViewInput, 'news' | 'columns'>): void;
  summary(object: Report & { type: 'summary' } & Record<string, unknown>, repository: string): void;
}

const stateEveryMs = 5000;
const clearScreen = '\x1b[2J\x1b[H';

export function createOutput(json: boolean, stream: NodeJS.WriteStream = process.stdout): Output {
  const news: string[] = [];
  const seen = new Set<string>();
  let stateDue = 0;
  const redraws = !json && stream.isTTY;

  function line(object: { type: string } & Record<string, unknown>, sentence: string): void {
    if (json) stream.write(`${JSON.stringify(object)}\n`);
    else if (redraws) news.push(sentence);
    else stream.write(`${sentence}\n`);
  }

  return {
    line,
    news: (sentence) => line({ type: 'news', message: sentence }, sentence),
    look(input) {
      for (const decision of [...input.status.decisions].reverse()) {
        if (seen.has(decision.decisionId)) continue;
        seen.add(decision.decisionId);
        const { kind, chuteName, server, reason, because } = decision;
        if (!redraws)
          line({ type: 'decision', ...decision }, `${kind} ${chuteName} on ${server}: ${reason} (${because})`);
      }
      if (redraws) {
        stream.write(clearScreen + renderView({ ...input, news, columns: stream.columns ?? 100 }));
      } else if (Date.now() >= stateDue) {
        stateDue = Date.now() + stateEveryMs;
        const { deployments, score, costPerHour, violations } = input.report;
        line(
          { type: 'state', deployments, score, costPerHour, violations, simulatedSeconds: Math.round(input.elapsed) },
          `${deployments.active} active, ${deployments.starting} starting, score ${score.toFixed(2)}, $${costPerHour.toFixed(2)}/h`,
        );
      }
    },
    summary(object, repository) {
      if (json) {
        stream.write(`${JSON.stringify(object)}\n`);
        return;
      }
      const { deployments, decisions, commits, coldStartP50, score, violations } = object;
      const total =
        coldStartP50.total === undefined
          ? 'no cold start yet'
          : `cold start ${coldStartP50.total.toFixed(0)} s (median, simulated)`;
      stream.write(
        `\n${deployments.active} deployments active, ${decisions} decisions in ${commits} commits, ${total}, ` +
          `score ${score.toFixed(2)}, ${violations} violations\n` +
          `Read what was decided and why:\n  git -C ${repository} log live\n  git -C ${repository} ls-tree -r --name-only live\n`,
      );
    },
  };
}
