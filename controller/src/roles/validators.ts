// The connections to all configured validators: calls, feeds that are polled, and the event socket that is relayed to the bus.

import type { Logger } from 'pino';
import { type Clock, systemClock } from '../domain/clock.ts';
import type { ValidatorConfig } from '../domain/config.ts';
import type { EventBus, Feeds, ValidatorClient } from '../domain/ports.ts';
import type { Signer } from '../signing/sr25519.ts';
import { createValidatorClient } from '../validator/client.ts';
import { createFeeds } from '../validator/feeds.ts';
import { connectSocket } from '../validator/socket.ts';

export interface ValidatorsOptions {
  configs: readonly ValidatorConfig[];
  signer: Signer;
  clock: Clock;
  bus: EventBus;
  log: Logger;
  /** Pause between two rounds of the feeds, in the clock's ms; never less than `minPollMs` of real time. */
  pollMs: number;
  /** Called after each round that brought an answer. */
  onFeeds(): void;
}

export interface Validators {
  clients: ReadonlyMap<string, ValidatorClient>;
  feeds(): ReadonlyMap<string, Feeds>;
  /** Fetch all feeds soon: an event said that something changed. */
  refresh(): void;
  connected(hotkey: string): boolean;
  stop(): Promise<void>;
}

const minPollMs = 1000;

export function openValidators({ configs, signer, clock, bus, log, pollMs, onFeeds }: ValidatorsOptions): Validators {
  const stopped = new AbortController();
  const parts = configs.map((config) => {
    const common = { config, signer, clock, log };
    const keeper = createFeeds({ ...common, signal: stopped.signal });
    keeper.onChange(onFeeds);
    const socket = connectSocket({ ...common, onEvent: (event) => bus.publish(event) });
    let hurry = new AbortController();
    async function poll(): Promise<void> {
      while (!stopped.signal.aborted) {
        hurry = new AbortController();
        await keeper.refresh();
        const wake = AbortSignal.any([hurry.signal, stopped.signal]);
        await Promise.all([clock.sleep(pollMs, wake), systemClock.sleep(minPollMs, wake)]);
      }
    }
    return {
      config,
      client: createValidatorClient(common),
      keeper,
      socket,
      polling: poll(),
      hurry: () => hurry.abort(),
    };
  });
  return {
    clients: new Map(parts.map(({ config, client }) => [config.hotkey, client])),
    feeds: () => new Map(parts.map(({ config, keeper }) => [config.hotkey, keeper.feeds()])),
    refresh() {
      for (const part of parts) part.hurry();
    },
    connected: (hotkey) => parts.find(({ config }) => config.hotkey === hotkey)?.socket.connected() ?? false,
    async stop() {
      stopped.abort();
      await Promise.all(parts.map(({ socket }) => socket.close()));
      await Promise.all(parts.map(({ polling }) => polling));
    },
  };
}
