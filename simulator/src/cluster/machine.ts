// One GPU server as a machine: its member cluster with kubelet, Job controller, agent and node ports, switched on and off as a whole.

import type { Clock } from '@miner/controller/domain/clock.ts';
import type { ProofSizes } from '../refc1.ts';
import { kubeconfigFor, startAgent } from './agent.ts';
import { type BackendOf, pacedRefc1 } from './bootstrap.ts';
import type { Claims } from './claims.ts';
import { inspectPod, type Rules } from './honesty.ts';
import { createJobController } from './jobs.ts';
import { createKubelet, type Kubelet } from './kubelet.ts';
import type { ModelSize } from './launch-times.ts';
import type { Listener } from './listen.ts';
import { createMember, type Member } from './member.ts';
import { createNodePorts } from './nodeports.ts';
import type { Ledger } from './record.ts';
import type { SimulatedServer } from './servers.ts';
import type { MemberState } from './state.ts';

export interface Machine {
  readonly member: Member;
  readonly kubelet: Kubelet;
  /** Kubeconfig of the member, as its agent hands it out. */
  kubeconfig(): string;
  /** Power on: agent, node ports, kubelet. `rebooted`: containers that ran are dead. */
  start(rebooted: boolean): Promise<void>;
  /** Power off: everything it listened on is closed at once. */
  stop(): Promise<void>;
  snapshot(): MemberState;
}

export interface MachineOptions {
  clock: Clock;
  random: () => number;
  ledger: Ledger;
  rules: Rules;
  sizeOf: (chuteId: string) => ModelSize;
  proofSizes?: ProofSizes | undefined;
  backendOf?: BackendOf | undefined;
  claims: Claims;
  /** Read when the agent starts: where the member's API is, and its token. */
  access: () => { url: string; token: string };
  onChange: () => void;
  onError: (error: unknown) => void;
  saved?: MemberState | undefined;
}

const agentPort = 32000;

export function createMachine(server: SimulatedServer, options: MachineOptions): Machine {
  const { clock, random, ledger, onError, rules, saved } = options;
  const member = createMember(server, {
    clock,
    random,
    saved,
    proofSizes: options.proofSizes,
    claims: options.claims,
    onPortConflict: (name, nodePort, service, other) =>
      ledger.violation('node-port-shared', `${nodePort} on ${name}: Services ${other} and ${service}`),
  });
  const kubelet = createKubelet(member, {
    clock,
    random,
    ledger,
    sizeOf: options.sizeOf,
    inspect: (pod) => inspectPod(pod, member, rules, ledger),
    onContainer: () => ports.refresh(),
    onChange: options.onChange,
    onError,
    saved: saved?.pods,
  });
  const backendOf = options.backendOf ?? pacedRefc1(member.proofSizes, clock);
  const ports = createNodePorts(member, kubelet, { backendOf, onError });
  const jobs = createJobController(member, { clock, random, onError });
  let agent: Listener | undefined;

  member.store.onChange((change) => {
    if (member.up) {
      jobs.handle(change);
      kubelet.handle(change);
      if (change.resource === 'services') ports.refresh();
    }
    const deploymentId = change.object.metadata.labels?.['chutes/deployment-id'];
    if (change.resource === 'pods' && change.type === 'ADDED' && deploymentId) {
      ledger.mark(deploymentId, server.name, 'podCreatedAt');
    }
    options.onChange();
  });

  function kubeconfig(): string {
    const { url, token } = options.access();
    return kubeconfigFor(server.name, url, token);
  }

  return {
    member,
    kubelet,
    kubeconfig,
    async start(rebooted) {
      const { minerHotkey } = rules;
      agent = await startAgent({
        ip: server.ip,
        port: agentPort,
        minerHotkey,
        kubeconfig: kubeconfig(),
      });
      member.up = true;
      jobs.start();
      kubelet.start(rebooted);
      ports.start();
      options.onChange();
    },
    async stop() {
      member.up = false;
      kubelet.stop();
      jobs.stop();
      await Promise.all([agent?.close(), ports.stop()]);
      agent = undefined;
      options.onChange();
    },
    snapshot: () => ({
      up: member.up,
      store: member.store.snapshot(),
      cache: member.cache,
      pods: kubelet.snapshot(),
    }),
  };
}
