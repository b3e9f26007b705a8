// Lambda's own runtime: the interface emulator that the SAM CLI carries, and the Node client that runs on Lambda itself.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import { toolsDirectory } from '../e2e/programs.ts';
import { ServerProcess } from '../e2e/server-process.ts';
import { freePort } from '../support/free-port.ts';

/** Below what `pip` made for whichever Python there is. */
const RAPID = 'site-packages/samcli/local/rapid';

export type Runtime = {
  /** The result as text, and how long it took. */
  invoke(event: object): Promise<{ text: string; milliseconds: number }>;
  log(): string;
  stop(): Promise<void>;
};

/** Starts a built function; the first event starts its instance. */
export async function startRuntime(directory: string, env: NodeJS.ProcessEnv): Promise<Runtime> {
  const libraries = join(toolsDirectory, 'sam/lib');
  const [python = ''] = existsSync(libraries) ? readdirSync(libraries) : [];
  const emulator = join(libraries, python, RAPID, `aws-lambda-rie-${arch() === 'arm64' ? 'arm64' : 'x86_64'}`);
  const client = join(toolsDirectory, 'aws-lambda-ric/node_modules/aws-lambda-ric/index.mjs');
  for (const file of [emulator, client]) {
    if (!existsSync(file)) throw new Error(`${file} is missing: run ".ci/install-tools sam aws-lambda-ric"`);
  }
  const logs = mkdtempSync(join(tmpdir(), 'runtime-'));
  const port = await freePort();
  const server = await ServerProcess.start({
    command: emulator,
    args: [
      ...['--runtime-interface-emulator-address', `127.0.0.1:${port}`],
      ...['--runtime-api-address', `127.0.0.1:${await freePort()}`],
      ...[process.execPath, client, 'index.handler'],
    ],
    env: { ...env, LAMBDA_TASK_ROOT: directory, _HANDLER: 'index.handler', AWS_LAMBDA_FUNCTION_NAME: 'function' },
    log: join(logs, 'runtime.log'),
    isReady: () => answersAtAll(`http://127.0.0.1:${port}/`),
  });
  return {
    async invoke(event) {
      const started = performance.now();
      const url = `http://127.0.0.1:${port}/2015-03-31/functions/function/invocations`;
      const response = await fetch(url, { method: 'POST', body: JSON.stringify(event) });
      return { text: await response.text(), milliseconds: performance.now() - started };
    },
    log: () => server.logTail(200),
    async stop() {
      await server.stop();
      rmSync(logs, { recursive: true });
    },
  };
}

async function answersAtAll(url: string): Promise<boolean> {
  const signal = AbortSignal.timeout(1000);
  return await fetch(url, { signal }).then(
    () => true,
    () => false,
  );
}
