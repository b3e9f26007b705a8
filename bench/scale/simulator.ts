// The process of the simulator: answers for a synthetic bucket over a Unix socket, so that its memory is apart from that of the
// program that is measured.
import { createServer, type Socket } from 'node:net';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import type { DeleteOptions, ETag, ObjectInfo, PutOptions } from '../../lib/storage/driver.ts';
import { receiveFrames, sendFrame } from './frames.ts';
import { OldBucket, type OldBucketSize } from './old-bucket.ts';
import { PAGE, type RequestCounts, SimulatedStorage } from './simulated-storage.ts';
import { type BucketSize, SyntheticBucket } from './synthetic-bucket.ts';

/** `old`: a bucket that docker-registry wrote. */
export type SimulatedSize = BucketSize | { old: OldBucketSize };

/** An object in a message. */
export type SentInfo = [key: Key, sizeBytes: number, etag: ETag, lastModifiedMs: number];

/** What the process of a step asks for: the requests of a driver, and what belongs to the measurement. */
export type SimulatorCalls = {
  head: (key: Key) => SentInfo | undefined;
  read: (key: Key) => { info: SentInfo; bytes: Uint8Array } | undefined;
  /** Some of the bytes of an object, after `get`. */
  readOn: (key: Key, start: number, end: number) => Uint8Array;
  /** As a request for the bytes, which `readOn` gives. */
  get: (key: Key) => SentInfo | undefined;
  put: (key: Key, body: Uint8Array, options: Pick<PutOptions, 'ifAbsent' | 'ifMatch'>) => ETag | undefined;
  /** `undefined` begins an object; `putPieces` ends it. */
  piece: (stream: string, bytes: Uint8Array) => void;
  putPieces: (stream: string, key: Key, options: Pick<PutOptions, 'ifAbsent' | 'ifMatch'>) => ETag | undefined;
  copy: (from: Key, to: Key) => boolean;
  delete: (key: Key, options: Pick<DeleteOptions, 'ifMatch'>) => boolean;
  /** Up to 1,000 objects; fewer on the last page. */
  page: (prefix: KeyPrefix, after: Key | undefined) => SentInfo[];
  folders: (prefix: KeyPrefix, after: string | undefined) => KeyPrefix[];
  requests: () => RequestCounts;
  contents: () => Record<string, number>;
  /** Moves the clock of storage. @returns how far it is ahead */
  advance: (milliseconds: number) => number;
};

export type SimulatorRequest = { id: number; call: keyof SimulatorCalls; args: unknown[] };
export type SimulatorAnswer = { id: number; value?: unknown; error?: string };

const [socketPath = '', sizeText = '{}'] = process.argv.slice(2);
const size = JSON.parse(sizeText) as SimulatedSize;
const bucket = 'old' in size ? new OldBucket(size.old) : new SyntheticBucket(size);
const storage = new SimulatedStorage(bucket);
const pieces = new Map<string, Uint8Array[]>();

type Handlers = { [C in keyof SimulatorCalls]: (...args: Parameters<SimulatorCalls[C]>) => unknown };

const handlers: Handlers = {
  head: async (key) => sent(await storage.head(key)),
  read: async (key) => {
    const object = await storage.read(key);
    return object && { info: sent(object.info), bytes: object.bytes };
  },
  get: async (key) => {
    const info = await storage.head(key);
    storage.requests.head--;
    storage.requests.get++;
    return sent(info);
  },
  readOn: (key, start, end) => storage.readOn(key, start, end),
  put: (key, body, options) => storage.put(key, body, options),
  piece: (stream, bytes) => {
    pieces.set(stream, [...(pieces.get(stream) ?? []), bytes]);
  },
  putPieces: async (stream, key, options) => {
    const body = Buffer.concat(pieces.get(stream) ?? []);
    pieces.delete(stream);
    return await storage.put(key, body, options);
  },
  copy: (from, to) => storage.copyIfAbsent(from, to),
  delete: (key, options) => storage.delete(key, options),
  page: async (prefix, after) => {
    const page: (SentInfo | undefined)[] = [];
    for await (const info of storage.list(prefix, after === undefined ? {} : { after })) {
      page.push(sent(info));
      if (page.length === PAGE) break;
    }
    return page;
  },
  folders: async (prefix, after) => {
    const page: KeyPrefix[] = [];
    for await (const folder of storage.listFolders(prefix, after === undefined ? {} : { after })) {
      page.push(folder);
      if (page.length === PAGE) break;
    }
    return page;
  },
  requests: () => storage.requests,
  contents: () => bucket.contents,
  advance: (milliseconds) => storage.advance(milliseconds),
};

function sent(info: ObjectInfo | undefined): SentInfo | undefined {
  return info && [info.key, info.sizeBytes, info.etag, info.lastModified.getTime()];
}

async function answer(socket: Socket, { id, call, args }: SimulatorRequest): Promise<void> {
  try {
    const value = await (handlers[call] as (...args: unknown[]) => unknown)(...args);
    sendFrame(socket, { id, value } satisfies SimulatorAnswer);
  } catch (error) {
    sendFrame(socket, { id, error: String(error) } satisfies SimulatorAnswer);
  }
}

createServer((socket) => {
  socket.on('error', () => socket.destroy());
  receiveFrames(socket, (message) => void answer(socket, message as SimulatorRequest));
}).listen(socketPath, () => process.send?.('ready'));
process.once('disconnect', () => {
  void storage.close().then(() => process.exit());
});
