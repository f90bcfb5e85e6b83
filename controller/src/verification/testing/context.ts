// What every test of this folder starts with: a scene, the node's own services, and a way to add the server.

import type { uvu } from 'uvu';
import type { ServerConfig } from '../../domain/config.ts';
import { MinerError } from '../../domain/errors.ts';
import { createNodes } from '../nodes.ts';
import {
  createScene,
  device,
  kubeconfigFor,
  type NodeServices,
  type Scene,
  startNodeServices,
  validatorHotkey,
} from './ports.ts';

export interface Context {
  scene: Scene;
  services: NodeServices;
  request: ServerConfig;
  /** Progress messages of `add`. */
  messages: string[];
  /** `added`, or code and message of the error. */
  add(change?: Partial<ServerConfig>): Promise<string>;
  close(): Promise<void>;
}

export function useScene(test: uvu.Test<Context>): void {
  test.before.each(async (context) => {
    const scene = createScene();
    const services: NodeServices = { kubeconfig: undefined, devices: [] };
    const { port, close } = await startNodeServices(services);
    scene.nodePort = port;
    Object.assign(context, { scene, services, close, messages: [] });
    answerWith(context, 'gpu-0', [device(1), device(2, { work_product: { a: 1 }, ecc: null })]);
    context.request = {
      name: 'gpu-0',
      validator: validatorHotkey,
      hourlyCost: 1.5,
      gpuShortRef: 'h100_sxm',
      agentApi: `http://127.0.0.1:${port}`,
      locked: false,
    };
    context.add = async (change = {}) => {
      const report = (message: string) => context.messages.push(message);
      try {
        await createNodes(scene.deps).addNode({ ...context.request, ...change }, report, new AbortController().signal);
        return 'added';
      } catch (error) {
        return error instanceof MinerError ? `${error.code} ${error.message}` : `unexpected ${error}`;
      }
    };
  });
  test.after.each(({ close }) => close());
}

/** Let the agent give the kubeconfig of `name`, and the bootstrap these devices. */
export function answerWith({ services }: Context, name: string, devices?: unknown[]): void {
  services.kubeconfig = [200, JSON.stringify({ kubeconfig: kubeconfigFor(name) })];
  if (devices) services.devices = [[200, JSON.stringify({ devices })]];
}

/** Change labels of the node; undefined takes one away. */
export function label({ scene }: Context, labels: Record<string, string | undefined>): void {
  const entries = Object.entries({ ...scene.node.labels, ...labels }).filter(([, value]) => value !== undefined);
  scene.node = { ...scene.node, labels: Object.fromEntries(entries) as Record<string, string> };
}
