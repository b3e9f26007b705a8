// Hashes large bodies in a thread of its own, while the main thread receives the next bytes. Not for Lambda functions, which are
// bundled into one file.
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { type BlockPool, blockPool } from './block-pool.ts';
import { type HashBlocks, hashHere } from './hash-blocks.ts';

/** Starts a hash. Its blocks and their end come through the port, which returns each hashed block and at last the digest. */
export type HashStart = { algorithm: string; port: MessagePort };
export type ToHash = Uint8Array | 'end';
export type Hashed = Uint8Array | { hex: string };

/** Blocks of one body that are hashed or wait for it. */
const MAX_STARTED = 2;

/** Beside this file, in the source (`.ts`) and in the output of `tsc` (`.js`). */
const PROGRAM = new URL(`./hash-thread-program${extname(import.meta.url)}`, import.meta.url);

/** For the blocks of this process. Nothing on a single CPU, which a second thread does not make faster. */
export function hashByThread(cpus = availableParallelism()): { hashBlocks?: HashBlocks } {
  if (cpus === 1) return {};
  const thread = new HashThread(blockPool);
  return { hashBlocks: (algorithm, blocks) => thread.hash(algorithm, blocks) };
}

/** One thread for all bodies. It is started for the first one, and again if it has ended. */
export class HashThread {
  readonly #pool: BlockPool;
  readonly #start: () => Worker;
  #worker: Worker | undefined;

  constructor(pool: BlockPool, start = () => new Worker(PROGRAM)) {
    this.#pool = pool;
    this.#start = start;
  }

  /**
   * Passes blocks on once they are hashed, in their order. Their memory moves to the thread and back, so the caller uses the blocks
   * that come out, and not those that it has passed in. Hashes in this thread where the system allows no further one.
   * @param blocks of the pool
   * @returns (at the end) the digest in hexadecimal
   * @throws what `blocks` throws; Error if the thread has ended
   */
  async *hash(algorithm: string, blocks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, string> {
    const worker = this.#running();
    if (!worker) return yield* hashHere(algorithm, blocks);
    const hash = new RemoteHash(worker, {
      algorithm,
      pool: this.#pool,
      onThreadEnd: () => this.#forget(worker),
    });
    const started: Promise<Uint8Array>[] = [];
    try {
      for await (const block of blocks) {
        const hashed = hash.update(block);
        hashed.catch(() => undefined); // if the body breaks off, nothing waits for it
        started.push(hashed);
        const first = started.length === MAX_STARTED ? started.shift() : undefined;
        if (first) yield await first;
      }
      for (const block of started) yield await block;
      return await hash.end();
    } finally {
      hash.close();
    }
  }

  /** Undefined if no thread can be started, as where the threads of a container are limited. */
  #running(): Worker | undefined {
    if (this.#worker) return this.#worker;
    try {
      const worker = this.#start();
      worker.unref(); // it does not keep the process alive
      worker.once('error', () => this.#forget(worker)).once('exit', () => this.#forget(worker));
      this.#worker = worker;
      return worker;
    } catch {
      return undefined;
    }
  }

  #forget(worker: Worker): void {
    if (this.#worker === worker) this.#worker = undefined;
  }
}

/** A hash in the thread. It answers in the order of the questions. */
class RemoteHash {
  readonly #port: MessagePort;
  readonly #pool: BlockPool;
  readonly #waiting: PromiseWithResolvers<Hashed>[] = [];
  #isClosed = false;

  constructor(
    worker: Worker,
    { algorithm, pool, onThreadEnd }: { algorithm: string; pool: BlockPool; onThreadEnd: () => void },
  ) {
    const { port1, port2 } = new MessageChannel();
    worker.postMessage({ algorithm, port: port2 } satisfies HashStart, [port2]);
    this.#port = port1;
    this.#pool = pool;
    port1.on('message', (hashed: Hashed) => this.#waiting.shift()?.resolve(hashed));
    port1.on('close', () => {
      if (!this.#isClosed) onThreadEnd();
      this.#isClosed = true;
      for (const { reject } of this.#waiting.splice(0)) reject(threadEnded());
    });
  }

  async update(block: Uint8Array): Promise<Uint8Array> {
    const { buffer } = block;
    const hashed = await this.#ask(block, [buffer as ArrayBuffer]);
    if (!(hashed instanceof Uint8Array)) throw new Error('the hash has ended before its body');
    this.#pool.follow(buffer, hashed);
    return hashed;
  }

  async end(): Promise<string> {
    const hashed = await this.#ask('end');
    if (hashed instanceof Uint8Array) throw new Error('the hash has not ended with its body');
    return hashed.hex;
  }

  close(): void {
    this.#isClosed = true;
    this.#port.close();
  }

  #ask(question: ToHash, transferred: readonly ArrayBuffer[] = []): Promise<Hashed> {
    const answer = Promise.withResolvers<Hashed>();
    if (this.#isClosed) answer.reject(threadEnded());
    else {
      this.#waiting.push(answer);
      this.#port.postMessage(question, transferred);
    }
    return answer.promise;
  }
}

function threadEnded(): Error {
  return new Error('the thread that hashes has ended');
}
