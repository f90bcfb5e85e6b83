// Every image that is run, except the chutes' own: one table, overridden by images.yaml (or `images` of miner.yaml). A digest pins an
// image for good; one without is pinned by tag only, until `chutes-miner images pin` writes the digest behind it.

import { z } from 'zod';

const reference = /^[a-z0-9.-]+(:\d+)?(\/[a-z0-9._-]+)+:(?!latest(@|$))[\w][\w.-]{0,127}(@sha256:[0-9a-f]{64})?$/;

const imageText = z.string().regex(reference, 'must be name:tag or name:tag@sha256:…, and the tag may not be latest');

function image(name: string, what: string) {
  return imageText.default(name).describe(what);
}

const known = z.strictObject({
  miner: image('chutes-miner/miner:0.1.0', 'The program itself; every role of it.'),
  cacheCleaner: image(
    'chutes-miner/miner:0.1.0',
    'Role cache-cleaner of the program: before each chute, and on a schedule.',
  ),
  gravalBootstrap: image('chutes-miner/graval-bootstrap:0.1.0', 'Proves the GPUs of a new server.'),
  postgres: image('docker.io/library/postgres:16.4', 'Database of the control plane.'),
  redis: image('docker.io/library/redis:7.4.1', 'Event stream of the control plane.'),
  gitServer: image('chutes-miner/git-server:0.1.0', 'Embedded git server of the control plane: nginx, fcgiwrap, git.'),
  // `resolve` in an upstream is nginx 1.27.3 or later.
  nginx: image('docker.io/library/nginx:1.28.0', 'Registry proxy of a GPU server; nginx 1.27.3 or later.'),
  prometheus: image('quay.io/prometheus/prometheus:v3.4.1', 'Metrics.'),
  grafana: image('docker.io/grafana/grafana:11.6.0', 'Dashboards.'),
  kubeStateMetrics: image(
    'registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.15.0',
    'Metrics of Kubernetes objects.',
  ),
  dcgmExporter: image('nvcr.io/nvidia/k8s/dcgm-exporter:4.2.3-4.1.3-ubuntu22.04', 'Metrics of GPUs.'),
  nodeExporter: image('quay.io/prometheus/node-exporter:v1.9.1', 'Metrics of machines.'),
});

export const imageValues = known
  .prefault({})
  .describe('Images, each as name:tag or name:tag@sha256:… . What images.yaml names may not be named here.');
export type Images = z.infer<typeof imageValues>;
export type ImageName = keyof Images;

/** images.yaml: what it names takes the place of the default. Null: a file with comments only. */
export const imagesFileValues: z.ZodType<Partial<Images> | null> = z
  .strictObject(Object.fromEntries(Object.keys(known.shape).map((name) => [name, imageText.optional()])))
  .nullable();

export function isPinned(image: string): boolean {
  return image.includes('@sha256:');
}

/** `name:tag`, without the digest. */
export function withoutDigest(image: string): string {
  return image.split('@')[0] ?? image;
}

/** Names of the images that a registry could still change under their tag. */
export function unpinnedImages(images: Images): string[] {
  return Object.entries(images).flatMap(([name, image]) => (isPinned(image) ? [] : [name]));
}
