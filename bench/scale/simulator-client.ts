// Storage that the process of the simulator answers for.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import {
  checkLook,
  type DeleteOptions,
  type ETag,
  type ObjectInfo,
  type PutOptions,
  type ReadObject,
  type StorageDriver,
  type StoredObject,
} from '../../lib/storage/driver.ts';
import { MiB } from '../../lib/streams/bytes.ts';
import { receiveFrames, sendFrame } from './frames.ts';
import { etagOfBytes, PAGE } from './simulated-storage.ts';
import type { SentInfo, SimulatorAnswer, SimulatorCalls, SimulatorRequest } from './simulator.ts';
import { WithoutMultipart } from './without-multipart.ts';

type Waiting = { resolve: (value: unknown) => void; reject: (error: Error) => void };

export class SimulatorClient extends WithoutMultipart implements StorageDriver {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  private constructor(socket: Socket) {
    super();
    this.#socket = socket;
    receiveFrames(socket, (message) => {
      const { id, value, error } = message as SimulatorAnswer;
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(new Error(error));
    });
    socket.once('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the simulator has ended'));
    });
  }

  static async connect(socketPath: string): Promise<SimulatorClient> {
    const socket = connect(socketPath);
    await once(socket, 'connect');
    return new SimulatorClient(socket);
  }

  async call<C extends keyof SimulatorCalls>(
    call: C,
    ...args: Parameters<SimulatorCalls[C]>
  ): Promise<ReturnType<SimulatorCalls[C]>> {
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    sendFrame(this.#socket, { id, call, args } satisfies SimulatorRequest);
    return (await promise) as ReturnType<SimulatorCalls[C]>;
  }

  async head(key: Key): Promise<ObjectInfo | undefined> {
    const info = await this.call('head', key);
    return info && received(info);
  }

  async get(key: Key, { range }: { range?: { start: number; end: number } } = {}): Promise<StoredObject | undefined> {
    const info = await this.call('get', key);
    if (!info) return undefined;
    const object = received(info);
    let at = range?.start ?? 0;
    const end = Math.min((range?.end ?? Number.POSITIVE_INFINITY) + 1, object.sizeBytes);
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        if (at >= end) return controller.close();
        controller.enqueue(new Uint8Array(await this.call('readOn', key, at, Math.min(at + MiB, end))));
        at += MiB;
      },
    });
    return { info: object, body };
  }

  async read(key: Key): Promise<ReadObject | undefined> {
    const object = await this.call('read', key);
    return object && { info: received(object.info), bytes: new Uint8Array(object.bytes) };
  }

  etagOf(bytes: Uint8Array): ETag {
    return etagOfBytes(bytes);
  }

  async put(key: Key, body: Uint8Array, { ifAbsent, ifMatch }: PutOptions = {}): Promise<ETag | undefined> {
    return await this.call('put', key, body, conditionOf({ ifAbsent, ifMatch }));
  }

  async putStream(
    key: Key,
    body: AsyncIterable<Uint8Array>,
    { ifAbsent, ifMatch }: PutOptions = {},
  ): Promise<ETag | undefined> {
    const stream = randomUUID();
    for await (const bytes of body) {
      for (let at = 0; at < bytes.length; at += MiB) await this.call('piece', stream, bytes.subarray(at, at + MiB));
    }
    return await this.call('putPieces', stream, key, conditionOf({ ifAbsent, ifMatch }));
  }

  async copyIfAbsent(from: Key, to: Key): Promise<boolean> {
    return await this.call('copy', from, to);
  }

  async *list(prefix: KeyPrefix, { after }: { after?: Key } = {}): AsyncGenerator<ObjectInfo> {
    for (let cursor = after; ; ) {
      const page = await this.call('page', prefix, cursor);
      for (const info of page) yield received(info);
      if (page.length < PAGE) return;
      cursor = page.at(-1)?.[0];
    }
  }

  async *listFolders(prefix: KeyPrefix, { after }: { after?: string } = {}): AsyncGenerator<KeyPrefix> {
    for (let cursor = after; ; ) {
      const page = await this.call('folders', prefix, cursor);
      yield* page;
      if (page.length < PAGE) return;
      cursor = page.at(-1);
    }
  }

  async delete(key: Key, { ifMatch, onceWithin }: DeleteOptions = {}): Promise<boolean> {
    checkLook(onceWithin);
    return await this.call('delete', key, ifMatch === undefined ? {} : { ifMatch });
  }

  async honorsDeleteConditions(): Promise<boolean> {
    return true;
  }

  async close(): Promise<void> {
    this.#socket.destroy();
  }
}

function received([key, sizeBytes, etag, lastModifiedMs]: SentInfo): ObjectInfo {
  return { key, sizeBytes, etag, lastModified: new Date(lastModifiedMs) };
}

function conditionOf({ ifAbsent, ifMatch }: { ifAbsent: boolean | undefined; ifMatch: ETag | undefined }) {
  return { ...(ifAbsent && { ifAbsent }), ...(ifMatch !== undefined && { ifMatch }) };
}
