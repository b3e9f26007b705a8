// Shared by the v1 suites: a storage whose objects a test reads and writes directly, and registries on it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import type { AppSettings } from '../../lib/server/app.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { readAll } from '../../lib/streams/bytes.ts';
import type { OpenedStorage } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { tar } from '../support/tar.ts';
import { payloadSum, type V1Image } from '../support/v1-client.ts';
import { type Answer, type Sent, send } from './send.ts';

export type OpenStorage = () => Promise<OpenedStorage>;

/** Direct access to the objects of the storage. */
export type TestStorage = {
  readonly driver: StorageDriver;
  /** `undefined` if there is no such object. */
  textOf(key: string): Promise<string | undefined>;
  put(key: string, content: string | Uint8Array): Promise<void>;
  keysBelow(prefix: string): Promise<string[]>;
  /** Temporary objects that unfinished writes have left. */
  leftovers(): Promise<string[]>;
};

/** A storage for the tests of a `describe`. */
export function useStorage(open: OpenStorage): TestStorage {
  let opened: OpenedStorage | undefined;
  before(async () => {
    opened = await open();
  });
  after(async () => await opened?.close());
  const storage = () => opened ?? assert.fail('the storage is not open yet');

  return {
    get driver() {
      return storage().driver;
    },
    async textOf(key) {
      const object = await storage().driver.get(key as Key);
      return object && Buffer.from(await readAll(object.body)).toString();
    },
    async put(key, content) {
      await storage().driver.put(key as Key, Buffer.from(content));
    },
    async keysBelow(prefix) {
      return (await Array.fromAsync(storage().driver.list(prefix as KeyPrefix))).map(({ key }) => key as string);
    },
    leftovers: () => storage().leftovers(),
  };
}

export type TestRegistry = {
  readonly url: URL;
  send(method: string, path: string, sent?: Sent): Promise<Answer>;
  /** The JSON of a GET that has to succeed. */
  read(path: string): Promise<unknown>;
  /** Pushes an image and confirms its checksum. */
  push(...images: V1Image[]): Promise<void>;
  /** Pushes the JSON and the layer of an image, but no checksum: it stays incomplete. */
  beginPush(image: V1Image): Promise<void>;
  tag(repository: string, tag: string, id: string): Promise<void>;
};

export type RegistryOptions = {
  settings?: Partial<AppSettings> | (() => Partial<AppSettings>);
  /** Wraps the storage of the registry. */
  alter?: (driver: StorageDriver) => StorageDriver;
};

/** A registry for the tests of a `describe`. Several may share one storage. */
export function useRegistry(storage: TestStorage, { settings = {}, alter }: RegistryOptions = {}): TestRegistry {
  let server: RegistryServer | undefined;
  before(async () => {
    const driver = alter ? alter(storage.driver) : storage.driver;
    server = await startRegistry(driver, typeof settings === 'function' ? settings() : settings);
  });
  after(async () => await server?.stop());

  const registry: TestRegistry = {
    get url() {
      return (server ?? assert.fail('the registry does not run yet')).url;
    },
    send: (method, path, sent) => send(registry.url, method, path, sent),
    async read(path) {
      return expect(200, await registry.send('GET', path)).json();
    },
    async push(...images) {
      for (const image of images) {
        await registry.beginPush(image);
        const headers = { 'X-Docker-Checksum-Payload': payloadSum(image.json, image.layer) };
        expect(200, await registry.send('PUT', `/v1/images/${image.id}/checksum`, { headers }));
      }
    },
    async beginPush({ id, json, layer }) {
      expect(200, await registry.send('PUT', `/v1/images/${id}/json`, { body: json }));
      expect(200, await registry.send('PUT', `/v1/images/${id}/layer`, { body: layer, isChunked: true }));
    },
    async tag(repository, tag, id) {
      const path = `/v1/repositories/${repository}/tags/${tag}`;
      expect(200, await registry.send('PUT', path, { body: JSON.stringify(id) }));
    },
  };
  return registry;
}

function expect(status: number, answer: Answer): Answer {
  assert.equal(answer.status, status, answer.text);
  return answer;
}

/** An image with an id of its own. */
export function newImage({
  id = newImageId(),
  parent,
  layer = gzipSync(tar([{ path: `file-of-${id}`, content: Buffer.from(id) }])),
  comment,
}: {
  id?: string;
  parent?: V1Image;
  layer?: Uint8Array;
  comment?: string;
} = {}): V1Image {
  const json = { id, ...(parent && { parent: parent.id }), created: '2014-05-15T02:37:51.21802123Z', comment };
  return { id, json: Buffer.from(JSON.stringify(json)), layer };
}

export function newImageId(): string {
  return randomBytes(32).toString('hex');
}

/** A repository that no other test uses. */
export function newRepository(): string {
  return `tests/${randomBytes(8).toString('hex')}`;
}
