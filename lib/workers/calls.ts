// Calls between two processes that share a channel of messages: the coordinator and one of its workers.
import { type ErrorCode, RegistryError } from '../model/errors.ts';

/** What one side answers: for each call its argument and result. */
export type Answers = Record<string, { argument: unknown; result: unknown }>;

/** A channel of Node between a process and its child. */
export type Channel = {
  send(message: Message, onSent: (error: Error | null) => void): unknown;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'disconnect', listener: () => void): unknown;
};

/** What answers the calls of the other side. @param signal aborts when the caller of the other side gives up */
export type Handlers<A extends Answers> = {
  [N in keyof A]: (argument: A[N]['argument'], signal: AbortSignal) => A[N]['result'] | Promise<A[N]['result']>;
};

type Failure = {
  message: string;
  cause?: string;
  registry?: { code: ErrorCode; detail: unknown; headers: Record<string, string> };
};

/** A call without an `id` has no answer. */
type Message =
  | { kind: 'call'; id?: number; name: string; argument: unknown }
  | { kind: 'abort'; id: number }
  | { kind: 'answer'; id: number; result?: unknown; failure?: Failure };

type Waiting = { resolve: (result: unknown) => void; reject: (error: Error) => void };

const GONE = 'the other process of this server has ended';

export class Calls<Ours extends Answers, Theirs extends Answers> {
  readonly #channel: Channel;
  readonly #handlers: Handlers<Ours>;
  /** Calls of this side that wait for their answer. */
  readonly #waiting = new Map<number, Waiting>();
  /** Calls of the other side that are being answered. */
  readonly #answering = new Map<number, AbortController>();
  #lastId = 0;
  #isOpen = true;

  constructor(channel: Channel, handlers: Handlers<Ours>) {
    this.#channel = channel;
    this.#handlers = handlers;
    channel.on('message', (message) => this.#receive(message as Message));
    channel.on('disconnect', () => this.#close());
  }

  /** False once the other process has ended, or has closed the channel. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Calls the other side and waits for its answer, also after an abort: what the other side has done by then is not lost.
   * @param signal tells the other side to give up
   * @throws RegistryError of the other side; UNAVAILABLE if the channel ends first
   */
  async call<N extends keyof Theirs & string>(
    name: N,
    argument: Theirs[N]['argument'],
    signal?: AbortSignal,
  ): Promise<Theirs[N]['result']> {
    if (!this.#isOpen) throw new RegistryError('UNAVAILABLE', GONE);
    const id = ++this.#lastId;
    const abort = () => this.#send({ kind: 'abort', id });
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#send({ kind: 'call', id, name, argument });
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true });
    try {
      return await answer;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Calls the other side without an answer. What is sent later arrives later. */
  notify<N extends keyof Theirs & string>(name: N, argument: Theirs[N]['argument']): void {
    this.#send({ kind: 'call', name, argument });
  }

  #send(message: Message): void {
    if (!this.#isOpen) return;
    this.#channel.send(message, (error) => {
      if (error) this.#close();
    });
  }

  #receive(message: Message): void {
    switch (message.kind) {
      case 'call':
        void this.#answer(message);
        break;
      case 'abort':
        this.#answering.get(message.id)?.abort();
        break;
      case 'answer': {
        const { id, result, failure } = message;
        const waiting = this.#waiting.get(id);
        this.#waiting.delete(id);
        if (failure) waiting?.reject(errorOf(failure));
        else waiting?.resolve(result);
        break;
      }
    }
  }

  async #answer({ id, name, argument }: Extract<Message, { kind: 'call' }>): Promise<void> {
    const controller = new AbortController();
    if (id !== undefined) this.#answering.set(id, controller);
    try {
      const result = await this.#handlers[name]?.(argument, controller.signal);
      if (id !== undefined) this.#send({ kind: 'answer', id, result });
    } catch (error) {
      if (id === undefined) throw error;
      this.#send({ kind: 'answer', id, failure: failureOf(error) });
    } finally {
      if (id !== undefined) this.#answering.delete(id);
    }
  }

  #close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const { reject } of this.#waiting.values()) reject(new RegistryError('UNAVAILABLE', GONE));
    this.#waiting.clear();
    for (const controller of this.#answering.values()) controller.abort();
  }
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { message: String(error) };
  const { message, cause } = error;
  const causeText = cause instanceof Error ? { cause: cause.message } : {};
  if (!(error instanceof RegistryError)) return { message, ...causeText };
  const { code, detail, headers } = error;
  return { message, ...causeText, registry: { code, detail, headers } };
}

function errorOf({ message, cause, registry }: Failure): Error {
  const options = cause === undefined ? {} : { cause: new Error(cause) };
  if (!registry) return new Error(message, options);
  const { code, detail, headers } = registry;
  return new RegistryError(code, message, { ...options, detail, headers });
}
