// Rules the miner must keep and that Kubernetes does not enforce (protocol.md 9, kubernetes.md 8). Breaking one is noted in the
// ledger, nothing is refused: so a test or a demo can show that none was broken.

import type { KubeObject } from './kube.ts';
import type { Member } from './member.ts';
import { type Container, mainContainer, readPodSpec, visibleGpus } from './podspec.ts';
import type { Ledger } from './record.ts';

export interface Rules {
  minerHotkey: string;
  validatorHotkey: string;
}

/** PID 1 of a chute as the validator compares it, word for word; undefined when the command is right. */
export function commandFault({ command, args }: Container, hasToken: boolean, rules: Rules): string | undefined {
  const words = [...command, ...args];
  const seed = words[5] === '--graval-seed' ? words.slice(5, 7) : [];
  const expected = ['chutes', 'run', words[2] ?? '', '--port', '8000', ...seed];
  expected.push('--miner-ss58', rules.minerHotkey, '--validator-ss58', rules.validatorHotkey);
  if (!/^[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+$/.test(words[2] ?? '')) return `"${words[2]}" is no chute reference`;
  if (hasToken && seed.length > 0) return '--graval-seed stands beside a launch token';
  if (!hasToken && !/^\d+$/.test(seed[1] ?? '')) return '--graval-seed is missing without a launch token';
  return JSON.stringify(words) === JSON.stringify(expected)
    ? undefined
    : `"${words.join(' ')}" is not "${expected.join(' ')}"`;
}

function gpusOf(pod: KubeObject, member: Member): string[] {
  const spec = readPodSpec(pod);
  const whole = Number(mainContainer(spec).resources.requests['nvidia.com/gpu'] ?? 0) >= member.server.gpuCount;
  return whole ? [...member.server.gpuIds] : visibleGpus(spec);
}

function inspectGpus(pod: KubeObject, member: Member, ledger: Ledger): void {
  const { name } = pod.metadata;
  const mine = gpusOf(pod, member);
  for (const gpu of mine.filter((id) => !member.server.gpuIds.includes(id))) {
    ledger.violation('gpu-unknown', `pod ${name} wants GPU ${gpu}, which ${member.server.name} does not have`);
  }
  for (const other of member.store.list('pods')) {
    const { phase = '' } = (other.status ?? {}) as { phase?: string };
    if (other.metadata.name === name || phase === 'Failed' || phase === 'Succeeded') continue;
    const shared = gpusOf(other, member).filter((id) => mine.includes(id));
    if (shared.length > 0) {
      ledger.violation(
        'gpu-shared',
        `pods ${other.metadata.name} and ${name} on ${member.server.name}: GPU ${shared.join(', ')}`,
      );
    }
  }
}

function inspectChute(pod: KubeObject, member: Member, rules: Rules, ledger: Ledger): void {
  const { name, labels = {} } = pod.metadata;
  const spec = readPodSpec(pod);
  const container = mainContainer(spec);
  const token = container.env.find((entry) => entry.name === 'CHUTES_LAUNCH_JWT');
  if (token?.value !== undefined) ledger.violation('token-in-env', `pod ${name}: CHUTES_LAUNCH_JWT is a literal`);
  const fault = commandFault(container, token !== undefined, rules);
  if (fault) ledger.violation('command', `pod ${name}: ${fault}`);
  const registry = new RegExp(`^${rules.validatorHotkey.toLowerCase()}\\.localregistry\\.chutes\\.ai:\\d+/`);
  if (!registry.test(container.image)) ledger.violation('image', `pod ${name}: ${container.image}`);
  if (!spec.enableServiceLinks) ledger.violation('service-links', `pod ${name}: enableServiceLinks is off`);
  const service = `chute-service-${labels['chutes/deployment-id']}`;
  if (!member.store.get('services', service)) {
    ledger.violation('service-order', `pod ${name} exists before Service ${service}`);
  }
}

/** To be called when a pod appears. */
export function inspectPod(pod: KubeObject, member: Member, rules: Rules, ledger: Ledger): void {
  inspectGpus(pod, member, ledger);
  if (pod.metadata.labels?.['chutes/chute'] === 'true') inspectChute(pod, member, rules, ledger);
}

/** To be called with every file of a tree that is to be applied. */
export function inspectFile(path: string, text: string, kinds: readonly string[], ledger: Ledger): void {
  if (kinds.includes('Secret')) ledger.violation('secret-in-git', path);
  if (/eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/.test(text))
    ledger.violation('token-in-git', path);
}
