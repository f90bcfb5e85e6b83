// What a chart is: a folder of files, each drawn by a function of the configuration. To add one, write such a definition in a file of its
// own and name it in all.ts; nothing else knows of it.

import type { MinerConfig, ServerConfig } from '@miner/controller/domain/config.ts';
import type { Chart } from 'cdk8s';

/** For what runs in the control cluster. */
export interface ControlContext {
  config: MinerConfig;
  /** Sorted by name. */
  servers: readonly ServerConfig[];
}

/**
 * For what runs on a GPU server. The server's name is not in it on purpose: servers with the same values share the same files, which are
 * rendered once and stored once. A pod learns the name of its node from `spec.nodeName`.
 */
export interface MemberContext {
  /** With what the server has different put in. */
  config: MinerConfig;
}

export interface ChartDefinition<Context> {
  /** Its folder. */
  name: string;
  /** Parts that read what servers have different; all others are drawn once for all of them. Default: none. */
  perServer?: readonly string[];
  /** Parts that draw one server after the other, each by itself: they may be drawn for some servers at a time. Default: none. */
  serverByServer?: readonly string[];
  /** Content of `<part>.yaml`; a part that draws nothing is no file. */
  parts: Readonly<Record<string, (scope: Chart, context: Context) => void>>;
}
