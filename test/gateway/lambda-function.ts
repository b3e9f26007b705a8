import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { InstanceMessage, Invocation } from './lambda-instance.ts';
import { MAX_EVENT_BYTES } from './limits.ts';
import { arnOf, REGION, type Stack } from './template.ts';

/** Lambda refuses the event; the function is not called. */
export class EventTooLarge extends Error {
  override readonly name = 'EventTooLarge';
}

/** So many run at once here; more events wait, which on AWS more instances would take. */
const MAX_INSTANCES = 4;

/** A function of the built template: its bundle, with the environment that the template gives it. */
export class LambdaFunction {
  /** What is uploaded. */
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;
  /** What is left of it is told to the handler. Tests may shorten it. */
  timeoutSeconds: number;
  readonly #id: string;
  readonly #entry: string;
  readonly #idle: Worker[] = [];
  readonly #waiting: ((instance: Worker) => void)[] = [];
  readonly #instances = new Set<Worker>();
  /** How often it was called. */
  calls = 0;
  /** How long its handler has worked, in all. */
  busyMs = 0;
  /** What it has written. */
  log = '';
  /** How long the start of the latest instance took. */
  initMs = 0;

  /** @param env of the platform, and of the tests, under that of the template */
  constructor(stack: Stack, id: string, env: NodeJS.ProcessEnv) {
    const properties = stack.resources.get(id)?.properties;
    if (!properties) throw new Error(`there is no function ${id}`);
    const { Handler, CodeUri, Environment, Runtime } = properties;
    if (Runtime !== 'nodejs24.x') throw new Error(`${id} runs on ${Runtime}`);
    if (Handler !== 'index.handler') throw new Error(`${id} has the handler ${Handler}`);
    this.directory = join(stack.directory, String(CodeUri));
    this.#id = id;
    this.timeoutSeconds = Number(properties.Timeout ?? 3);
    this.#entry = join(this.directory, 'index.js');
    if (!existsSync(this.#entry)) throw new Error(`${id} was built without ${this.#entry}`);
    const variables = (Environment as { Variables?: Record<string, string> } | undefined)?.Variables ?? {};
    this.env = { AWS_REGION: REGION, AWS_LAMBDA_FUNCTION_NAME: id, TZ: ':UTC', ...env, ...variables };
  }

  /**
   * @returns the result as JSON
   * @throws EventTooLarge; Error with the handler's message
   */
  async invoke(event: object): Promise<string> {
    const text = JSON.stringify(event);
    if (Buffer.byteLength(text) > MAX_EVENT_BYTES) throw new EventTooLarge();
    this.calls++;
    const instance = await this.#take();
    const started = performance.now();
    try {
      const { timeoutSeconds } = this;
      instance.postMessage({ event: text, arn: arnOf(this.#id), timeoutSeconds } satisfies Invocation);
      const [message]: InstanceMessage[] = await once(instance, 'message');
      if (message?.kind === 'result') return message.text;
      throw new Error(message?.kind === 'error' ? message.message : 'the instance gave no result');
    } finally {
      this.busyMs += performance.now() - started;
      this.#give(instance);
    }
  }

  get instanceCount(): number {
    return this.#instances.size;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#instances].map((instance) => instance.terminate()));
  }

  async #take(): Promise<Worker> {
    const idle = this.#idle.pop();
    if (idle) return idle;
    if (this.#instances.size >= MAX_INSTANCES) return await new Promise((resolve) => this.#waiting.push(resolve));
    const instance = new Worker(join(import.meta.dirname, 'lambda-instance.ts'), {
      workerData: { entry: this.#entry },
      env: this.env,
      stdout: true, // its log
    });
    instance.stdout.setEncoding('utf8').on('data', (text: string) => (this.log += text));
    this.#instances.add(instance);
    instance.once('exit', () => this.#instances.delete(instance));
    const [ready]: InstanceMessage[] = await once(instance, 'message'); // a failed start throws here
    if (ready?.kind === 'ready') this.initMs = ready.initMs;
    return instance;
  }

  #give(instance: Worker): void {
    const next = this.#waiting.shift();
    if (next) next(instance);
    else this.#idle.push(instance);
  }
}
