// What the registry proxy is told, with every default, and the checks that keep a value from becoming a directive of nginx.

import { validatorConfig } from '@miner/controller/domain/config.ts';
import { MinerError } from '@miner/controller/domain/errors.ts';

export interface RegistryProxyProps {
  /** The validators to pull from; several may share a registry. */
  validators: readonly { hotkey: string; registry: string }[];
  /** Port that kubelet's pulls arrive at. Default 5000. */
  listenPort?: number;
  /** Default: every address of the pod. */
  listenAddress?: string;
  /** Port of registry auth on 127.0.0.1. Default 8000. */
  authPort?: number;
  /** Networks whose pulls are served, others get 403; the node port may be reachable from outside. Default: loopback and private ones. */
  allowFrom?: readonly string[];
  /**
   * `kept`: connections to a registry are kept open between requests, and its name is looked up in the background: nginx 1.27.3 or later.
   * `single`: one connection and, where the answer expired, one lookup for each request: any nginx. Default `kept`.
   */
  upstream?: 'kept' | 'single';
  /** Name servers, each an address with an optional port. Default: the public ones of Cloudflare and Google. */
  resolvers?: readonly string[];
  /** `http` only where the way to the registry is private. Default `https`, with the certificate verified. */
  scheme?: 'https' | 'http';
  /** CAs (PEM file) that the registries' certificates are checked against. Default: Debian's. */
  trustedCertificates?: string;
  /** Folder that nginx may write to. Default `/var/cache/nginx`. */
  runDir?: string;
  /** Default `/dev/stdout`. */
  accessLog?: string;
  /** Default 1. */
  workerProcesses?: number;
  /** Of each worker process. Default 1024. */
  workerConnections?: number;
  /** Seconds that a client may keep a connection open. Default 65. */
  keepaliveSeconds?: number;
}

const privateNetworks = [
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '169.254.0.0/16',
  '100.64.0.0/10',
  '::1',
  'fc00::/7',
  'fe80::/10',
];
const publicResolvers = ['1.1.1.1', '1.0.0.1', '8.8.8.8', '8.8.4.4'];

const registryName = /^(?=.{1,253}(:|$))[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:\d{1,5})?$/;
const address = /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/;
const nameServer = /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])(:\d{1,5})?$/;
const network = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-f:.]+:[0-9a-f:.]*)(\/\d{1,3})?$/;
const path = /^\/[A-Za-z0-9._/+-]*$/;

export const proxyDefaults = {
  listenPort: 5000,
  listenAddress: '0.0.0.0',
  authPort: 8000,
  allowFrom: privateNetworks,
  upstream: 'kept',
  resolvers: publicResolvers,
  scheme: 'https',
  trustedCertificates: '/etc/ssl/certs/ca-certificates.crt',
  runDir: '/var/cache/nginx',
  accessLog: '/dev/stdout',
  workerProcesses: 1,
  workerConnections: 1024,
  keepaliveSeconds: 65,
} as const satisfies Omit<Required<RegistryProxyProps>, 'validators'>;

function isPort(value: number): boolean {
  return Number.isInteger(value) && value > 0 && value < 65_536;
}

function demand(holds: boolean, field: string, found: unknown, allowed: string): void {
  if (!holds) throw new MinerError('E-CONFIG', `${field}: found ${JSON.stringify(found)}, allowed: ${allowed}`);
}

/** Throws E-CONFIG with the field, what was found and what is allowed. */
export function checkProps(props: Required<RegistryProxyProps>): void {
  const { validators, resolvers, allowFrom } = props;
  demand(validators.length > 0, 'validators', validators, 'at least one');
  validators.forEach(({ hotkey, registry }, i) => {
    demand(
      validatorConfig.shape.hotkey.safeParse(hotkey).success,
      `validators[${i}].hotkey`,
      hotkey,
      'an ss58 address',
    );
    demand(registryName.test(registry), `validators[${i}].registry`, registry, 'a host name with an optional port');
    const first = validators.findIndex((other) => other.hotkey.toLowerCase() === hotkey.toLowerCase());
    demand(first === i, `validators[${i}].hotkey`, hotkey, 'each validator once, whatever the case of its letters');
  });
  demand(address.test(props.listenAddress), 'listenAddress', props.listenAddress, 'an address');
  for (const field of ['listenPort', 'authPort'] as const) demand(isPort(props[field]), field, props[field], 'a port');
  for (const field of ['workerProcesses', 'workerConnections', 'keepaliveSeconds'] as const)
    demand(Number.isInteger(props[field]) && props[field] >= 0, field, props[field], 'a whole number');
  demand(resolvers.length > 0, 'resolvers', resolvers, 'at least one');
  for (const one of resolvers) demand(nameServer.test(one), 'resolvers', one, 'an address with an optional port');
  for (const one of allowFrom) demand(network.test(one), 'allowFrom', one, 'an address or a network');
  for (const field of ['trustedCertificates', 'runDir', 'accessLog'] as const)
    demand(path.test(props[field]), field, props[field], 'an absolute path of letters, digits and . _ + -');
}
