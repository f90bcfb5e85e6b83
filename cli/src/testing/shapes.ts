// Answers of upstream's shape (protocol.md 4.1.1, 6.2): one server with two GPUs and one deployment, on both sides.

import { miner } from './upstream.ts';

export const validatorHotkey = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';
export const chuteId = '11111111-2222-4333-8444-555555555555';
export const deploymentId = '3f1c2f9e-2f2a-4f43-9d7c-0a8f6b1c2d3e';
export const gpuIds = ['0'.repeat(31).concat('1'), '0'.repeat(31).concat('2')];

const created = '2026-01-31T12:00:00+00:00';

export function deployment(change: object = {}): Record<string, unknown> {
  return {
    deployment_id: deploymentId,
    instance_id: 'instance-1',
    validator: validatorHotkey,
    host: '203.0.113.10',
    port: 30100,
    chute_id: chuteId,
    server_id: 'uid-gpu-0',
    version: 'v1',
    active: true,
    verified_at: created,
    activated_at: created,
    stub: false,
    job_id: null,
    config_id: 'config-1',
    created_at: created,
    preemptible: true,
    chute: { chute_id: chuteId, name: 'llama', code: 'print()' },
    gpus: [{ gpu_id: gpuIds[0] }],
    ...change,
  };
}

export function server(name = 'gpu-0', change: object = {}): Record<string, unknown> {
  return {
    server_id: `uid-${name}`,
    validator: validatorHotkey,
    name,
    ip_address: '203.0.113.10',
    agent_api: 'http://203.0.113.10:32000',
    verification_port: null,
    status: 'Ready',
    created_at: created,
    labels: { 'gpu-short-ref': 'h100_sxm' },
    seed: null,
    gpu_count: 2,
    cpu_per_gpu: 4,
    memory_per_gpu: 80,
    hourly_cost: 1.5,
    locked: false,
    kubeconfig: 'users: [{user: {token: VERY-SECRET}}]',
    is_tee: false,
    gpus: gpuIds.map((gpu_id, i) => ({
      gpu_id,
      validator: validatorHotkey,
      server_id: `uid-${name}`,
      deployment_id: i === 0 ? deploymentId : null,
      device_info: {
        name: 'NVIDIA H100 80GB HBM3',
        uuid: gpu_id,
        memory: 85_017_624_576,
        clock_rate: 1_980_000,
        processors: 132,
      },
      model_short_ref: 'h100_sxm',
      verified: true,
    })),
    deployments: [deployment({ server_id: `uid-${name}` })],
    ...change,
  };
}

export function remoteServer(name = 'gpu-0', change: object = {}): Record<string, unknown> {
  return {
    server_id: `uid-${name}`,
    name,
    ip: '203.0.113.10',
    is_tee: false,
    version: null,
    maintenance_pending: false,
    created_at: created,
    updated_at: created,
    gpus: gpuIds.map((uuid, device_index) => ({
      uuid,
      gpu_identifier: 'h100_sxm',
      device_index,
      verified_at: created,
      verification_error: null,
    })),
    ...change,
  };
}

export const remoteInventory = gpuIds.map((gpu_id, i) => ({
  gpu_id,
  last_verified_at: created,
  verification_error: null,
  active: i === 0,
  chute_id: i === 0 ? chuteId : null,
  chute_name: i === 0 ? 'llama' : null,
}));

export function remoteNodes(change: object = {}): Record<string, unknown>[] {
  return gpuIds.map((uuid, device_index) => ({
    uuid,
    gpu_identifier: 'h100_sxm',
    device_index,
    server_id: 'uid-gpu-0',
    seed: 1,
    miner_hotkey: miner.address,
    verified_at: created,
    verification_error: null,
    ...change,
  }));
}

export function kubeconfig(name: string, token = 'secret-token') {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: `https://${name}:6443` } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'chutes' } }],
    'current-context': name,
  };
}
