// One instance of a function under Lambda's own Node client, with the CPU time of its start and of each request. Lambda's runtime API,
// which the client calls, is answered here, because only it knows the moment at which the start has ended.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { toolsDirectory } from '../../test/e2e/programs.ts';

const CLIENT = join(toolsDirectory, 'aws-lambda-ric/node_modules/aws-lambda-ric/index.mjs');

export type Times = { cpuMs: number; wallMs: number };
/** The start of an instance and each of its answers, in order. Node's own start is part of `init`. */
export type Lifetime = { init: Times; answers: (Times & { text: string })[] };

/** @throws Error if the client is missing */
export function assertClientInstalled(): void {
  if (!existsSync(CLIENT)) throw new Error(`${CLIENT} is missing: run ".ci/install-tools aws-lambda-ric"`);
}

/**
 * Starts an instance, sends it these events one after another, and ends it.
 * @param directory of the bundle
 * @throws Error with its output if it ends or answers an error
 */
export async function runInstance(
  directory: string,
  env: NodeJS.ProcessEnv,
  events: readonly object[],
): Promise<Lifetime> {
  const answers: Lifetime['answers'] = [];
  let init: Times | undefined;
  let last = { cpuMs: 0, wallAt: performance.now() };
  const { promise: finished, resolve: finish, reject: fail } = Promise.withResolvers<void>();
  const lap = (): Times => {
    const now = { cpuMs: cpuMsOf(child.pid ?? 0), wallAt: performance.now() };
    const times = { cpuMs: now.cpuMs - last.cpuMs, wallMs: now.wallAt - last.wallAt };
    last = now;
    return times;
  };
  const server = createServer(async (request, response) => {
    if (request.method === 'GET') {
      // The time between an answer and this request is the client's.
      init ??= lap();
      const event = events[answers.length];
      if (event === undefined) return finish();
      last = { cpuMs: cpuMsOf(child.pid ?? 0), wallAt: performance.now() };
      response.setHeader('Lambda-Runtime-Aws-Request-Id', `request-${answers.length}`);
      response.setHeader('Lambda-Runtime-Deadline-Ms', String(Date.now() + 29_000));
      response.setHeader('Lambda-Runtime-Invoked-Function-Arn', 'arn:aws:lambda:us-east-1:123456789012:function:f');
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify(event));
      return;
    }
    const times = lap();
    const answer = await text(request);
    if (request.url?.endsWith('/error')) fail(new Error(answer));
    answers.push({ ...times, text: answer });
    response.writeHead(202).end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const child = spawn(process.execPath, [CLIENT, 'index.handler'], {
    env: {
      ...env,
      AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${port}`,
      LAMBDA_TASK_ROOT: directory,
      _HANDLER: 'index.handler',
      AWS_LAMBDA_FUNCTION_NAME: 'function',
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '1024',
      AWS_LAMBDA_LOG_GROUP_NAME: 'group',
      AWS_LAMBDA_LOG_STREAM_NAME: 'stream',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const output of [child.stdout, child.stderr]) output.on('data', (chunk) => (log += String(chunk)));
  child.once('exit', () => fail(new Error('the instance has ended')));
  try {
    await finished;
    if (!init) throw new Error('the instance asked for nothing');
    return { init, answers };
  } catch (cause) {
    throw new Error(`the bundle in ${directory} fails; it said:\n${log}`, { cause });
  } finally {
    child.kill('SIGKILL');
    server.closeAllConnections();
    server.close();
  }
}

/**
 * CPU time of all threads of a process. Its `stat` counts in hundredths of a second, the scheduler in nanoseconds.
 * https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat
 */
function cpuMsOf(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.reduce((sum, id) => sum + nanosecondsOf(`/proc/${pid}/task/${id}/schedstat`), 0) / 1e6;
}

function nanosecondsOf(path: string): number {
  try {
    return Number(readFileSync(path, 'utf8').split(' ')[0]);
  } catch {
    return 0; // the thread has just ended
  }
}
