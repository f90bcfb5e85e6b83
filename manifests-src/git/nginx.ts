// nginx in front of `git http-backend`: one bare repository over smart HTTP, with a password for every request. A pure function; the text
// is nginx.conf. serve.sh starts it beside fcgiwrap, which runs git.

export interface GitServerProps {
  /** Default 8080. */
  listenPort?: number;
  /** Port of fcgiwrap on 127.0.0.1. Default 9000. */
  backendPort?: number;
  /** Folder with `cluster.git`. Default `/srv/git`. */
  dataDir?: string;
  /** Folder that nginx may write to, with the files of users that serve.sh makes. Default `/run/git`. */
  runDir?: string;
  /** Default `/dev/stdout`. */
  accessLog?: string;
}

/** Name of the only repository, as it is in its URL. */
export const repositoryName = 'cluster.git';

const defaults: Required<GitServerProps> = {
  listenPort: 8080,
  backendPort: 9000,
  dataDir: '/srv/git',
  runDir: '/run/git',
  accessLog: '/dev/stdout',
};

const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

/** What git http-backend is given. The password stays with nginx. */
function backend(dataDir: string, backendPort: number, pathInfo: string, query: string): string {
  const params = {
    SCRIPT_FILENAME: '/usr/lib/git-core/git-http-backend',
    GIT_PROJECT_ROOT: dataDir,
    GIT_HTTP_EXPORT_ALL: '1',
    HOME: '/tmp',
    PATH_INFO: pathInfo,
    QUERY_STRING: query,
    REQUEST_METHOD: '$request_method',
    CONTENT_TYPE: '$content_type',
    CONTENT_LENGTH: '$content_length',
    REMOTE_USER: '$remote_user',
    REMOTE_ADDR: '$remote_addr',
    HTTP_AUTHORIZATION: '""',
  };
  const lines = Object.entries(params).map(([name, value]) => `      fastcgi_param ${name} ${value};\n`);
  return `      fastcgi_pass 127.0.0.1:${backendPort};\n${lines.join('')}`;
}

/**
 * Fetching takes a user of `readers`, pushing one of `writers`; anything but these two services of the one repository is 404. `/readyz`
 * asks git for the name of the default branch, so it fails with fcgiwrap, with git, and with the volume.
 */
export function gitServerConfig(props: GitServerProps = {}): string {
  const { listenPort, backendPort, dataDir, runDir, accessLog } = { ...defaults, ...props };
  return `worker_processes 1;
pid ${runDir}/nginx.pid;
error_log stderr warn;

events {
  worker_connections 512;
}

http {
  server_tokens off;
  log_format git '$remote_addr $remote_user "$request_method $uri" $status $body_bytes_sent $request_time';
  access_log ${accessLog} git;
${temporary.map((name) => `  ${name}_temp_path ${runDir}/${name};\n`).join('')}
  # A push may be as large as it is, and a first clone as slow as it is.
  client_max_body_size 0;
  client_body_buffer_size 1m;
  fastcgi_read_timeout 600s;
  gzip off;

  # $uri is decoded and normalized, so no spelling of the path gets around it.
  map "$uri $args" $users {
    default ${runDir}/readers;
    ~git-receive-pack ${runDir}/writers;
  }

  server {
    listen ${listenPort};

    location = /readyz {
      access_log off;
      limit_except GET { deny all; }
${backend(dataDir, backendPort, `/${repositoryName}/HEAD`, '""')}    }

    location ~ ^/${repositoryName.replace('.', '\\.')}/(info/refs|git-upload-pack|git-receive-pack)$ {
      auth_basic "cluster repository";
      auth_basic_user_file $users;
${backend(dataDir, backendPort, '$uri', '$args')}    }

    location / {
      return 404;
    }
  }
}
`;
}
