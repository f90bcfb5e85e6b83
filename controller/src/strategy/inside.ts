// What goes into the strategy's own world before it. `install` is carried over as text, so it uses nothing from outside itself; it
// takes away what the strategy shall not have, and asks its hooks about everything in a question, one by one.

import type { Answer, Offer, Question } from '../domain/advice.ts';
import type { Hooks, KindView, ServerView } from '../domain/hooks.ts';

/** Memory outside the heap, clocks, dice, and what a garbage collector does. */
export const withheld = [
  'Array.fromAsync',
  'ArrayBuffer',
  'Atomics',
  'BigInt64Array',
  'BigUint64Array',
  'DataView',
  'Date',
  'FinalizationRegistry',
  'Float16Array',
  'Float32Array',
  'Float64Array',
  'Int16Array',
  'Int32Array',
  'Int8Array',
  'Intl',
  'Math.random',
  'SharedArrayBuffer',
  'Temporal',
  'Uint16Array',
  'Uint32Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'WeakRef',
  'WebAssembly',
  'console',
] as const;

/** Both answer with `ok …` or `no …`, where the rest is JSON or a reason. */
export interface Inside {
  take(exported: Record<string, unknown>): string;
  answer(question: string): string;
}

export function install(without: readonly string[]): Inside {
  for (const path of without) {
    const [owner = '', member] = path.split('.');
    const world = globalThis as unknown as Record<string, Record<string, unknown>>;
    if (member === undefined) delete world[owner];
    else delete world[owner]?.[member];
  }
  const { parse, stringify } = JSON;
  const most = 1000;
  const names = ['score', 'place', 'veto', 'victims'];
  let hooks: Hooks = {};

  function shown(value: unknown): string {
    if (typeof value === 'number') return String(value);
    if (typeof value === 'function') return 'a function';
    try {
      return (stringify(value) ?? String(value)).slice(0, 100);
    } catch {
      return 'something that is no JSON';
    }
  }

  function told(error: unknown): string {
    if (!(error instanceof Error)) return `it threw ${shown(error)}`;
    const [line] = /strategy\.ts:\d+/.exec(String(error.stack)) ?? [];
    return `${error.name}: ${error.message}${line ? ` (${line})` : ''}`;
  }

  class Refusal extends Error {}

  function guarded(work: () => string): string {
    try {
      return `ok ${work()}`;
    } catch (error) {
      return `no ${error instanceof Refusal ? error.message : told(error)}`;
    }
  }

  function call<I, O>(name: keyof Hooks, hook: (input: I) => O, input: I, about: string): O {
    try {
      return hook(input);
    } catch (error) {
      throw new Refusal(`${name} failed for ${about}: ${told(error)}`);
    }
  }

  function isFactor(value: unknown): value is number {
    return typeof value === 'number' && value >= 0 && value <= most;
  }

  function refuse(name: keyof Hooks, value: unknown, about: string, allowed: string): never {
    throw new Refusal(`${name} gave ${shown(value)} for ${about}; allowed: ${allowed}`);
  }

  function kindOf(gpu: string, servers: readonly ServerView[]): KindView {
    return {
      gpu,
      servers: servers.length,
      gpus: servers.reduce((sum, one) => sum + one.gpus, 0),
      freeGpus: servers.reduce((sum, one) => sum + one.freeGpus, 0),
      hourlyCost: Math.min(...servers.map((one) => one.hourlyCost)),
    };
  }

  function aboutOffer({ chute, job, sites }: Offer, { now, servers }: Question): Answer['offers'][string] | undefined {
    const score: Record<string, number> = {};
    const place: Record<string, number> = {};
    const veto: string[] = [];
    const closed: string[] = [];
    for (const { gpu, servers: positions } of sites) {
      const suiting = positions.flatMap((i) => servers[i] ?? []);
      if (hooks.score) {
        const about = `${chute.name} on ${gpu}`;
        const value = call('score', hooks.score, { now, chute, job, kind: kindOf(gpu, suiting) }, about);
        if (value !== undefined && !isFactor(value)) refuse('score', value, about, `a number from 0 to ${most}`);
        if (value !== undefined && value !== 1) score[gpu] = value;
      }
      if (!hooks.place && !hooks.veto) continue;
      const vetoed = veto.length;
      for (const server of suiting) {
        const about = `${chute.name} on ${server.name}`;
        const input = { now, chute, job, server };
        const no = hooks.veto && call('veto', hooks.veto, input, about);
        if (no !== undefined && typeof no !== 'boolean') refuse('veto', no, about, 'true or false');
        if (no) veto.push(server.name);
        const value = hooks.place && call('place', hooks.place, input, about);
        if (value !== undefined && !isFactor(value)) refuse('place', value, about, `a number from 0 to ${most}`);
        if (value !== undefined && value !== 1) place[server.name] = value;
      }
      if (veto.length - vetoed === suiting.length) closed.push(gpu);
    }
    const isEmpty = veto.length === 0 && Object.keys(score).length === 0 && Object.keys(place).length === 0;
    return isEmpty ? undefined : { score, place, veto, closed };
  }

  function aboutAll(question: Question): Answer {
    const answer: Answer = { offers: {}, deployments: {} };
    for (const offer of question.offers) {
      const one = aboutOffer(offer, question);
      if (one) answer.offers[offer.key] = one;
    }
    if (!hooks.victims) return answer;
    for (const { chute, server: position, deployment } of question.deployments) {
      const server = question.servers[position];
      if (!server) continue;
      const about = `${chute.name} on ${server.name}`;
      const value = call('victims', hooks.victims, { now: question.now, chute, deployment, server }, about);
      if (value === undefined) continue;
      if (value !== 'keep' && !isFactor(value))
        refuse('victims', value, about, `a number from 0 to ${most}, or "keep"`);
      answer.deployments[deployment.id] = value;
    }
    return answer;
  }

  return {
    take: (exported) =>
      guarded(() => {
        for (const [name, value] of Object.entries(exported)) {
          if (!names.includes(name)) throw new Refusal(`it exports "${name}"; hooks are ${names.join(', ')}`);
          if (typeof value !== 'function')
            throw new Refusal(`it exports ${name}, which is ${shown(value)} and no function`);
        }
        hooks = { ...exported } as Hooks;
        return '';
      }),
    answer: (question) => guarded(() => stringify(aboutAll(parse(question)))),
  };
}
