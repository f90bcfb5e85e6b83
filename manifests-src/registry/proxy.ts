// nginx in front of the validators' registries on a GPU server (protocol.md 5): every pull is first asked about at registry auth, then
// forwarded, with the signature it gave, to the registry of the validator that the host names. A pure function; the text is nginx.conf.

import { checkProps, proxyDefaults, type RegistryProxyProps } from './props.ts';

const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
const signedHeaders = ['Hotkey', 'Nonce', 'Signature'];
/** Idle connections kept to each registry and to registry auth. */
const kept = 32;

function indent(depth: number, lines: readonly string[]): string {
  return lines.map((line) => `${'  '.repeat(depth)}${line}\n`).join('');
}

/** Directives that keep connections to a registry open. An address needs no lookup, so none is asked for. */
function pool(name: string, registry: string, scheme: string): string {
  const [host = '', port = scheme === 'https' ? '443' : '80'] = registry.split(':');
  const lookup = /^[\d.]+$/.test(host) ? '' : ' resolve';
  return indent(1, [
    `upstream ${name} {`,
    `  zone ${name} 64k;`,
    `  server ${host}:${port}${lookup};`,
    `  keepalive ${kept};`,
    '}',
  ]);
}

/**
 * The text of nginx.conf. Only GET and HEAD below `/v2/` are forwarded, everything else is 403. The upstream is found by the first label
 * of the host, which is a validator's hotkey in lower case, whatever the port; another host is 404. A pull that registry auth does not
 * grant, or cannot answer for, is 401. Throws E-CONFIG for values that have no place in a configuration.
 */
export function registryProxyConfig(props: RegistryProxyProps): string {
  const all: Required<RegistryProxyProps> = { ...proxyDefaults, ...props };
  checkProps(all);
  const { validators, upstream, scheme, runDir } = all;
  const registries = [...new Set(validators.map(({ registry }) => registry))];
  const pools = new Map(registries.map((registry, i) => [registry, upstream === 'kept' ? `registry_${i}` : registry]));
  const hosts = validators.flatMap(({ hotkey, registry }) => {
    const label = hotkey.toLowerCase();
    return [`${label} ${registry};`, `${label}.* ${registry};`];
  });
  const tls = [
    'proxy_ssl_server_name on;',
    'proxy_ssl_name $registry;',
    'proxy_ssl_protocols TLSv1.2 TLSv1.3;',
    'proxy_ssl_verify on;',
    'proxy_ssl_verify_depth 4;',
    `proxy_ssl_trusted_certificate ${all.trustedCertificates};`,
  ];
  return `worker_processes ${all.workerProcesses};
pid ${runDir}/nginx.pid;
error_log stderr warn;

events {
  worker_connections ${all.workerConnections};
}

http {
  server_tokens off;
  # Neither headers nor query strings: no signature and no token is ever logged.
  log_format pull '$remote_addr $host "$request_method $uri" $status $body_bytes_sent $request_time "$registry" $upstream_status';
  access_log ${all.accessLog} pull;
${indent(
  1,
  temporary.map((name) => `${name}_temp_path ${runDir}/${name};`),
)}
  keepalive_timeout ${all.keepaliveSeconds};
  client_max_body_size 0;
  map_hash_bucket_size 256;
  map_hash_max_size 2048;
  resolver ${all.resolvers.join(' ')} ipv6=off;
  resolver_timeout 5s;

  # $host has no port and is in lower case.
  map $host $registry {
    hostnames;
    default "";
${indent(2, hosts)}  }
  map $registry $registry_upstream {
    default "";
${indent(
  2,
  [...pools].map(([registry, name]) => `${registry} ${name};`),
)}  }

  upstream registry_auth {
    server 127.0.0.1:${all.authPort};
    keepalive ${kept};
  }
${upstream === 'kept' ? [...pools].map(([registry, name]) => pool(name, registry, scheme)).join('') : ''}
  server {
    listen ${all.listenAddress}:${all.listenPort};
${indent(
  2,
  all.allowFrom.map((network) => `allow ${network};`),
)}    deny all;

    if ($registry = "") {
      return 404;
    }

    location / {
      return 403;
    }

    location /v2/ {
      limit_except GET {
        deny all;
      }
      auth_request /registry/auth;
${indent(
  3,
  signedHeaders.map(
    (name) => `auth_request_set $chutes_${name.toLowerCase()} $upstream_http_x_chutes_${name.toLowerCase()};`,
  ),
)}      # What nginx answers when registry auth is not there.
      error_page 500 = @refused;

      proxy_pass ${scheme}://$registry_upstream;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $registry;
${indent(
  3,
  signedHeaders.map((name) => `proxy_set_header X-Chutes-${name} $chutes_${name.toLowerCase()};`),
)}      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header Authorization "";
      proxy_set_header Cookie "";
${scheme === 'https' ? indent(3, tls) : ''}      proxy_redirect off;
      proxy_connect_timeout 10s;
      proxy_read_timeout 300s;
      # Layers are as large as models: they are passed on, never put on the disk.
      proxy_max_temp_file_size 0;
      proxy_buffer_size 16k;
      proxy_buffers 16 64k;
    }

    location = /registry/auth {
      internal;
      proxy_pass http://registry_auth;
      proxy_http_version 1.1;
      # The answer to HEAD has no body, without which nginx would not keep the connection.
      proxy_method HEAD;
      proxy_pass_request_body off;
      proxy_pass_request_headers off;
      proxy_set_header Connection "";
      proxy_set_header Content-Length "";
      proxy_set_header Host $host;
      proxy_set_header X-Original-URI $request_uri;
      proxy_connect_timeout 2s;
      proxy_read_timeout 10s;
    }

    location @refused {
      return 401;
    }
  }
}
`;
}
