// The program in which a strategy runs: a process of its own, without environment, without permission for files, processes, workers and
// addons, with little memory. In it the strategy gets a world that holds the language and nothing of Node, so there is no network either.

import { stripTypeScriptTypes } from 'node:module';
import vm from 'node:vm';
import { install, withheld } from './inside.ts';

/** What the parent says. After `limitMs` the work ends by itself, should the parent be gone. */
export type Order =
  | { kind: 'load'; text: string; limitMs: number }
  /** `question` is JSON. */
  | { kind: 'ask'; question: string; limitMs: number };

export type Reply =
  | { kind: 'ready' }
  | { kind: 'loaded' }
  /** `answer` is JSON. */
  | { kind: 'answered'; answer: string }
  | { kind: 'failed'; because: string };

/** A call or a property of `import`, whatever stands between: it would bring an object of this program into the strategy's world. */
const dynamicImport = /\bimport(?:\s|\/\*[\s\S]*?\*\/|\/\/[^\n]*\n)*[(.]/;

const context = vm.createContext(vm.constants.DONT_CONTEXTIFY, {
  codeGeneration: { strings: false, wasm: false },
  microtaskMode: 'afterEvaluate',
});
// Only texts go in and come out: an object of this program would be a way out of that world.
vm.runInContext(
  `Object.defineProperty(globalThis, 'inside', { value: Object.freeze((${install})(${JSON.stringify(withheld)})) });`,
  context,
);
const takeHooks = new vm.Script('inside.take(exported)');
const answerQuestion = new vm.Script('inside.answer(question)');

function failed(because: string): Reply {
  return { kind: 'failed', because };
}

/** Runs in the strategy's world; its word is `ok …` or `no …`. */
function run(script: vm.Script, timeout: number, made: (rest: string) => Reply): Reply {
  let said: unknown;
  try {
    said = script.runInContext(context, { timeout });
  } catch (error) {
    return failed(isTimeout(error) ? `it took longer than ${timeout} ms` : 'it broke its own world');
  }
  if (typeof said !== 'string') return failed('it broke its own world');
  return said.startsWith('ok ') ? made(said.slice(3)) : failed(said.slice(3));
}

/** Errors made in the strategy's world are not ours: `instanceof` does not know them. */
function isTimeout(error: unknown): boolean {
  return (
    typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT'
  );
}

function wordsOf(error: unknown): string {
  try {
    return String(error);
  } catch {
    return 'something that cannot be shown';
  }
}

async function load(text: string, limitMs: number): Promise<Reply> {
  let module: vm.SourceTextModule;
  try {
    const code = stripTypeScriptTypes(text);
    if (dynamicImport.test(code)) return failed('it uses import() or import.meta, which do not exist here');
    module = new vm.SourceTextModule(code, { context, identifier: 'strategy.ts' });
  } catch (error) {
    return failed(wordsOf(error));
  }
  const [wanted] = module.dependencySpecifiers;
  if (wanted !== undefined) return failed(`it imports "${wanted}", but only types can be imported`);
  await module.link(() => {
    throw new Error('there is nothing to import');
  });
  try {
    await module.evaluate({ timeout: limitMs });
  } catch (error) {
    return failed(isTimeout(error) ? `it took longer than ${limitMs} ms` : wordsOf(error));
  }
  context.exported = module.namespace;
  return run(takeHooks, limitMs, () => ({ kind: 'loaded' }));
}

function ask(question: string, limitMs: number): Reply {
  context.question = question;
  return run(answerQuestion, limitMs, (answer) => ({ kind: 'answered', answer }));
}

const { process } = globalThis;
const send = process.send?.bind(process) as (reply: Reply) => void;
process.on('message', async (order: Order) => {
  send(order.kind === 'load' ? await load(order.text, order.limitMs) : ask(order.question, order.limitMs));
});
// Nothing of Node stays within reach, should a strategy find a way into this world.
const language = new Set<PropertyKey>(vm.runInNewContext('Reflect.ownKeys(globalThis)') as PropertyKey[]);
for (const name of Reflect.ownKeys(globalThis)) if (!language.has(name)) Reflect.deleteProperty(globalThis, name);
send({ kind: 'ready' });
