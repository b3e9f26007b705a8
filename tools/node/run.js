// Stowage's source is TypeScript, which Node runs since 22.18. `npm ci` installs a newer Node for the platforms that package.json
// lists here, with its integrity in package-lock.json and without an install script. This file must itself run on Node 18.
//
// `node_modules/.bin/node` does not lead to that Node reliably: most versions of npm delete it when they leave out the packages of
// the other platforms, which have the same command.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

const FORWARDED_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * glibc returns memory of a megabyte and more to the system when it is freed. Without this it raises that threshold to the size of
 * what was freed, such as a part of a layer, and keeps most of such memory: 30 MiB during the push of a large layer.
 * https://man7.org/linux/man-pages/man3/mallopt.3.html
 */
const MALLOC = { MALLOC_MMAP_THRESHOLD_: '1048576' };

const require = createRequire(import.meta.url);
const platform = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;

/**
 * Runs Node with the standard streams, signals and exit code of this process. Programs that it starts find the same Node in
 * PATH. It is the installed Node, else the one that runs this process, if that can run TypeScript.
 * @param {string[]} args the arguments of `node`
 */
export function runNode(args) {
  const own = process.features.typescript ? process.execPath : undefined;
  const candidates = [installedNode(), own].filter((file) => file !== undefined);
  for (const signal of FORWARDED_SIGNALS) process.on(signal, () => forward(signal));
  let child;
  const forward = (signal) => {
    // On Windows the console has sent it to all of its processes, and `kill` would end the child at once.
    if (process.platform !== 'win32') child?.kill(signal);
  };
  const start = () => {
    const node = candidates.shift();
    if (node === undefined) return refuse();
    const path = [dirname(node), process.env.PATH ?? ''].join(delimiter);
    child = spawn(node, args, { stdio: 'inherit', env: { ...MALLOC, ...process.env, PATH: path } });
    // On Alpine, for one, the C library is not the one that the binary is linked with.
    child.on('error', () => child.pid === undefined && start());
    child.on('exit', endLike);
  };
  start();
}

/** @returns {string | undefined} the file of the Node that `npm ci` has installed for this platform */
function installedNode() {
  const name = `node-${platform}/package.json`;
  try {
    return join(dirname(require.resolve(name)), require(name).bin.node);
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

function endLike(code, signal) {
  process.exitCode = code ?? 128 + constants.signals[signal];
  if (signal === null) process.exit();
  for (const forwarded of FORWARDED_SIGNALS) process.removeAllListeners(forwarded);
  process.kill(process.pid, signal);
}

function refuse() {
  const { version, optionalDependencies } = require('./package.json');
  const installed = Object.keys(optionalDependencies).map((name) => name.slice('node-'.length));
  console.error(
    `Stowage's source needs Node 22.18 or newer. This is ${process.versions.node}, and node_modules holds no Node for ${platform} (npm ci installs ${version} on ${installed.join(', ')}).`,
  );
  process.exit(1);
}
