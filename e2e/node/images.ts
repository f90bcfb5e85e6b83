// The images of the test node, put into a real registry: the program with Node, nginx, a chute that makes the real calls, and the GPU
// verification, all of layers that are pushed once.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf, putImage } from '@miner/controller/registry/testing/oci.ts';
import { busyboxFiles, filesLayer, programFiles, programLayer } from './layers.ts';

export interface ImageOptions {
  /** Folder for the layers. */
  dir: string;
  /** Registry for the miner's own images. */
  ours: string;
  /** Registry of the validator, and the name of the chute's image in it, `user/name:tag`. */
  validators: string;
  chuteImage: string;
  /** Authority (PEM file) that nginx trusts. */
  trusted: string;
  /** What the containers see of GPUs, as chute.ts reads it. */
  gpus: object;
}

export interface Images {
  miner: string;
  nginx: string;
  graval: string;
  pause: string;
  shell: string;
  /** Digest of the chute's manifest. */
  chuteDigest: string;
}

const path = ['PATH=/usr/local/bin:/usr/bin:/bin'];
const program = ['/usr/local/bin/node', '--disable-warning=ExperimentalWarning'];

/** What the readiness probe of a chute calls. */
const curl = '#!/bin/sh\n# curl -f URL\nexec wget -q -O /dev/null "$2"\n';
const chutes = `#!/bin/sh\nexec ${program.join(' ')} /app/e2e/node/chute.ts "$@"\n`;

export async function pushImages(options: ImageOptions): Promise<Images> {
  const { dir, ours, chuteImage } = options;
  const tar = (name: string) => join(dir, `${name}.tar`);
  const read = (file: string) => readFileSync(file);
  const base = read(filesLayer(tar('base'), busyboxFiles(), ['tmp']));
  const node = read(filesLayer(tar('node'), programFiles(process.execPath, 'usr/local/bin/node')));
  const app = read(programLayer(tar('app'), ['controller', 'simulator', 'native/graval', 'e2e']));
  const gpus = read(filesLayer(tar('gpus'), { 'etc/gpus.json': { text: JSON.stringify(options.gpus) } }));
  const chute = read(
    filesLayer(tar('chute'), { 'usr/local/bin/chutes': { text: chutes }, 'usr/bin/curl': { text: curl } }),
  );
  const nginx = read(
    filesLayer(tar('nginx'), {
      ...programFiles('/usr/sbin/nginx', 'usr/sbin/nginx'),
      'usr/bin/nginx': { link: '/usr/sbin/nginx' },
      'etc/ssl/certs/ca-certificates.crt': { from: options.trusted },
    }),
  );
  const registry = `http://${ours}`;
  async function put(name: string, layers: readonly Buffer[], settings: object): Promise<string> {
    await putImage(registry, `chutes-miner/${name}`, '1', layers, { Env: path, ...settings });
    return `${ours}/chutes-miner/${name}:1`;
  }
  const main = [...program, '/app/controller/src/main.ts'];
  const [repository = '', tag = ''] = chuteImage.split(':');
  const settings = { Env: path, WorkingDir: '/app' };
  const pushed = await putImage(
    `http://${options.validators}`,
    repository,
    tag,
    [base, node, app, gpus, chute],
    settings,
  );
  return {
    pause: await put('pause', [base], { Entrypoint: ['/bin/sleep', '2000000000'] }),
    shell: await put('shell', [base], { Entrypoint: ['/bin/sleep', '2000000000'] }),
    miner: await put('miner', [base, node, app], { Entrypoint: main, User: '1000' }),
    nginx: await put('nginx', [base, nginx], {}),
    graval: await put('graval', [base, node, app, gpus], { Entrypoint: [...program, '/app/e2e/node/graval.ts'] }),
    chuteDigest: digestOf(pushed.manifest),
  };
}
