// The life of an image: pushed, moved, deleted, collected, restored; by clients of other projects, on disk and on S3.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { hashPassword } from '../../lib/auth/passwords/bcrypt.ts';
import type { KeyPrefix } from '../../lib/model/layout.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { oldBucket } from '../old-buckets/generator.ts';
import { hashAll, hashesOf, storeBucket } from '../old-buckets/in-storage.ts';
import { V1Client } from '../support/v1-client.ts';
import { backends } from './backends.ts';
import { useCleanup } from './cleanup.ts';
import { collectAll } from './collect-all.ts';
import { pullByDockerRegistryClient } from './docker-registry-client.ts';
import { engineKinds, useEngines } from './engine.ts';
import { imageInEngine } from './image-in-engine.ts';
import { incompressible, makeImageOf, type TestImage } from './images.ts';
import {
  type Fate,
  INDEX_OF_TAGGED_CHILD,
  inflatedDigest,
  KEPT_WITH_REFERRER,
  type LifeImage,
  makeLifeImages,
  pushLifeImages,
  TAGGED_CHILD,
} from './lifecycle-images.ts';
import { digestOf } from './oci-layout.ts';
import { attempt, regctl, run } from './programs.ts';
import { type ScaledServer, startScaledServer } from './scaled-server.ts';
import { CLI, CONFIG } from './stowage.ts';
import { visibleIn } from './visible.ts';

const MiB = 1024 * 1024;

/** Manifests without a tag go as soon as possible. */
const UNTAGGED = { number: 1, repositories: ['**'], untagged: { olderThanMs: 1000 } };

const execute = promisify(execFile);

const crane = async (...args: string[]) => (await run('crane', args)).trim();

/** All of an image or index; crane compares each digest. */
async function pullByCrane(reference: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'pulled-'));
  try {
    await crane('pull', '--format=oci', reference, directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function stowage(server: ScaledServer, ...args: string[]): Promise<string> {
  const env = { ...process.env, ...server.env };
  return (await execute(process.execPath, [CLI, ...args, '--config', CONFIG], { env })).stdout;
}

async function jsonOf<T>(url: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(url, init);
  const text = await response.text();
  assert.ok(response.ok, `${response.status} of ${init.method ?? 'GET'} ${url}: ${text}`);
  return JSON.parse(text) as T;
}

describe('100 images with layers in common', () => {
  const engineNamed = useEngines();
  const atEnd = useCleanup();
  let images: LifeImage[];
  let note: string;

  before(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'lifecycle-'));
    atEnd(() => rm(directory, { recursive: true, force: true }));
    images = await makeLifeImages(directory);
    note = directory;
    await writeFile(join(note, 'note.txt'), 'a note that is no image\n');
  });

  for (const { name, open } of backends) {
    describe(`on ${name}`, () => {
      const atSuiteEnd = useCleanup();
      let server: ScaledServer;
      let digests: Map<LifeImage, string>;
      const kept = () => images.filter(({ fate }) => fate === 'kept');
      const deleted = () => images.filter(({ fate }) => fate !== 'kept');
      const at = ({ repository, tag }: LifeImage) => `${server.host}/${repository}:${tag}`;

      before(async () => {
        const backend = await open();
        atSuiteEnd(() => backend.close());
        const rules = [{ repositories: 'life/ruled', keep: { last: 1 } }];
        server = await startScaledServer(backend, {
          env: { V1_LAYERS: 'link', V1_IMAGES: 'collect', RETENTION: JSON.stringify({ rules }) },
          retention: { undoMs: 1000, rules: [UNTAGGED] },
        });
        atSuiteEnd(() => server.stop());
      });

      test('are pushed by crane, oras, v1 clients and two generations of Docker', async () => {
        assert.equal(images.length, 100);
        digests = await pushLifeImages(server.host, images, { engineNamed, note });
        await server.idle();
      });

      test('90 of them are deleted in all ways there are', async () => {
        assert.equal(deleted().length, 90);
        const of = (fate: Fate) => images.filter((item) => item.fate === fate);
        const child = images.find((item) => nameOf(item) === INDEX_OF_TAGGED_CHILD);
        assert.ok(child?.by === 'oras index');
        await crane('tag', `${server.host}/${child.repository}@${child.index.images.arm64}`, 'child');

        for (const { repository, tag } of of('v1 DELETE of the tag')) {
          await jsonOf(`${server.url}/v1/repositories/${repository}/tags/${tag}`, { method: 'DELETE' });
        }
        for (const repository of new Set(of('v1 DELETE of the repository').map((item) => item.repository))) {
          await jsonOf(`${server.url}/v1/repositories/${repository}/`, { method: 'DELETE' });
        }
        for (const item of of('v2 DELETE of the tag')) await regctl(server.host, 'tag', 'delete', at(item));
        for (const item of of('v2 DELETE of the digest')) {
          await crane('delete', `${server.host}/${item.repository}@${digests.get(item)}`);
        }
        for (const item of of('overwritten')) {
          const other = kept().find(({ repository }) => repository === item.repository);
          assert.ok(other?.by === 'crane');
          await crane('push', other.image.layoutDirectory, at(item));
        }
        await stowage(server, 'retention', 'apply', '--now');
        const names = [...kept(), ...of('overwritten')].map(nameOf);
        assert.deepEqual(Object.keys(await visibleIn(server.url)).toSorted(), [...names, TAGGED_CHILD].toSorted());
        await server.idle();
      });

      test('the collector removes what its dry runs list, and nothing else', async (t) => {
        const { rounds, removedKeys, removedBytes } = await collectAll(server);
        t.diagnostic(`${rounds} rounds removed ${removedKeys} keys, and ${removedBytes} bytes of blobs`);
        assert.ok(removedBytes > 2 * MiB, String(removedBytes));
      });

      test('crane and oras find what is left whole', async () => {
        for (const item of kept()) {
          await pullByCrane(at(item));
          const digest = digests.get(item);
          if (digest !== undefined) assert.equal(await crane('digest', at(item)), digest, nameOf(item));
        }
        await pullByCrane(`${server.host}/${TAGGED_CHILD}`);
        const subject = `${server.host}/${KEPT_WITH_REFERRER}`;
        const { referrers } = JSON.parse(await run('oras', ['discover', '--plain-http', '--format=json', subject]));
        assert.equal(referrers.length, 1);
        await pullByCrane(`${subject.slice(0, subject.lastIndexOf(':'))}@${referrers[0].digest}`);
      });

      test('docker-registry-client pulls what is left by v1', async () => {
        for (const { repository, tag, diffIds, ...item } of kept()) {
          if (!diffIds) continue; // v1 has no indexes
          const pulled = await pullByDockerRegistryClient(server.host, repository, tag);
          const layers = pulled.map(({ layer }) => inflatedDigest(layer));
          assert.deepEqual(layers, diffIds, `${repository}:${tag}`);
          if (item.by !== 'v1') continue;
          assert.deepEqual(
            pulled.map(({ id, layer }) => ({ id, layer })),
            item.chain.map(({ id, layer }) => ({ id, layer })),
          );
        }
      });

      for (const { name: engineName } of engineKinds) {
        test(`${engineName} pulls what is left`, async () => {
          const engine = engineNamed(engineName);
          for (const item of kept()) {
            // Docker 29 fetches no layer that it has unpacked from another blob, and then cannot save it.
            await engine.removeImages();
            await engine.docker('pull', at(item));
            if (!item.diffIds) continue; // of an index, an engine has one image
            const { diffIds } = await imageInEngine(engine, at(item), 'none');
            assert.deepEqual(diffIds, item.diffIds, nameOf(item));
          }
        });
      }

      test('nothing that was deleted can be pulled', async () => {
        for (const item of deleted()) {
          const { repository, tag } = item;
          if (item.fate !== 'overwritten') {
            assert.equal((await fetch(`${server.url}/v2/${repository}/manifests/${tag}`)).status, 404, nameOf(item));
            assert.equal((await fetch(`${server.url}/v1/repositories/${repository}/tags/${tag}`)).status, 404);
          }
          const digest = digests.get(item);
          const own = 'image' in item ? item.image.layers.at(-1)?.digest : undefined;
          const gone = [
            ...(digest ? [`/v2/${repository}/manifests/${digest}`] : []),
            ...(own ? [`/v2/${repository}/blobs/${own}`] : []),
            ...('chain' in item ? [`/v1/images/${item.chain.at(-1)?.id}/json`] : []),
          ];
          for (const path of gone) assert.equal((await fetch(`${server.url}${path}`)).status, 404, path);
        }
        const ofEachRepository = Map.groupBy(
          deleted().filter(({ fate }) => fate !== 'overwritten'),
          ({ repository }) => repository,
        );
        for (const [item] of ofEachRepository.values()) {
          assert.ok(item);
          const pulls = [
            attempt('crane', ['manifest', at(item)]),
            ...engineKinds.map((kind) => engineNamed(kind.name).attempt(['pull', at(item)])),
          ];
          for (const { status } of await Promise.all(pulls)) assert.notEqual(status, 0, nameOf(item));
        }
      });

      test('fsck finds no error, and what is stored is what is referenced', async (t) => {
        assert.deepEqual(await errorsIn(server), []);
        const [stored, referenced] = [await storedBytes(server.storage), await referencedBytes(server.url)];
        t.diagnostic(`${stored} bytes are stored, ${referenced} referenced`);
        assert.ok(Math.abs(stored - referenced) <= referenced / 100, `${stored} stored, ${referenced} referenced`);
      });
    });
  }
});

const nameOf = ({ repository, tag }: LifeImage) => `${repository}:${tag}`;

async function errorsIn({ registry }: ScaledServer): Promise<unknown[]> {
  const errors: unknown[] = [];
  await registry.fsck.run({
    level: 'bytes',
    onFinding: (finding) => {
      if (finding.severity === 'error') errors.push(finding);
    },
  });
  return errors;
}

/** Of blobs, and of the layers of v1 images. */
async function storedBytes(storage: StorageDriver): Promise<number> {
  let sum = 0;
  for await (const { key, sizeBytes } of storage.list('' as KeyPrefix)) {
    const isBytes =
      /^oci\/(?:blobs\/sha256\/[0-9a-f]{64}\/copy-|data\/)/.test(key) || /^images\/[^/]+\/layer$/.test(key);
    if (isBytes) sum += sizeBytes;
  }
  return sum;
}

type Descriptor = { digest: string; size: number };
type Manifest = { config?: Descriptor; layers?: Descriptor[]; manifests?: Descriptor[] };

/** Of the blobs that manifests name which a tag, an index or a subject leads to, each digest once. */
async function referencedBytes(url: string): Promise<number> {
  const sizes = new Map<string, number>();
  const add = async (repository: string, reference: string) => {
    const bytes = await fetch(`${url}/v2/${repository}/manifests/${reference}`).then((response) => response.bytes());
    const { config, layers = [], manifests = [] } = JSON.parse(Buffer.from(bytes).toString()) as Manifest;
    for (const { digest, size } of [...(config ? [config] : []), ...layers]) sizes.set(digest, size);
    for (const { digest } of manifests) await add(repository, digest);
    const index = await jsonOf<Manifest>(`${url}/v2/${repository}/referrers/${digestOf(bytes)}`);
    for (const referrer of index.manifests ?? []) await add(repository, referrer.digest);
  };
  const { repositories } = await jsonOf<{ repositories: string[] }>(`${url}/v2/_catalog?n=1000`);
  for (const repository of repositories) {
    const { tags } = await jsonOf<{ tags: string[] | null }>(`${url}/v2/${repository}/tags/list`);
    for (const tag of tags ?? []) await add(repository, tag);
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

// Most of the time they wait for the grace period.
describe('old buckets', { concurrency: true }, () => {
  for (const { name, open } of backends) {
    for (const isAdopted of [false, true]) {
      describe(`a bucket of docker-registry 0.9.1 on ${name}, ${isAdopted ? 'adopted' : 'not adopted'}`, () => {
        const atEnd = useCleanup();
        const bucket = oldBucket('0.9.1');
        let server: ScaledServer;
        let image: TestImage;

        before(async () => {
          const backend = await open();
          atEnd(() => backend.close());
          const driver = await backend.openDriver();
          await storeBucket(driver, bucket);
          await driver.close();
          server = await startScaledServer(backend, { retention: { undoMs: 1000, rules: [UNTAGGED] } });
          atEnd(() => server.stop());
          if (isAdopted) assert.match(await stowage(server, 'adopt'), / 0 failures, /);
          const directory = await mkdtemp(join(tmpdir(), 'old-bucket-'));
          atEnd(() => rm(directory, { recursive: true }));
          image = await makeImageOf(directory, 'app:1', [[{ path: 'new', content: incompressible(20_000, 'new') }]]);
        });

        test('loses nothing to the collector, and is pulled as before', async (t) => {
          const before = await pullAll(server);
          assert.ok(Object.keys(before).length >= bucket.repositories.length, JSON.stringify(before));
          const old = await oldObjects(server.storage);
          for (const [key, hash] of hashesOf(bucket)) assert.equal(old.get(key), hash, key);
          // So that the collector has something to remove beside them.
          const reference = `${server.host}/new/app:1`;
          await crane('push', image.layoutDirectory, reference);
          await crane('delete', reference);
          const { rounds, removedKeys } = await collectAll(server);
          assert.ok(removedKeys > 0);
          const after = await oldObjects(server.storage);
          for (const [key, hash] of old) assert.equal(after.get(key), hash, key);
          assert.deepEqual(await pullAll(server), before);
          assert.deepEqual(await errorsIn(server), []);
          t.diagnostic(`${old.size} old objects are unchanged; ${rounds} rounds removed ${removedKeys} other keys`);
        });
      });
    }
  }
});

/** Below `images/` and `repositories/`, where docker-registry writes. */
async function oldObjects(storage: StorageDriver): Promise<Map<string, string>> {
  return new Map([...(await hashAll(storage, 'images/')), ...(await hashAll(storage, 'repositories/'))]);
}

/** It refuses namespaces of one character, and names with three parts. */
const KNOWN_BY_DOCKER_REGISTRY_CLIENT = /^[a-z0-9_-]{2,}\/[^/]+$/;

/** By reference and protocol, digests of all that crane and docker-registry-client pull. */
async function pullAll({ host, url }: ScaledServer): Promise<Record<string, unknown>> {
  const pulled: Record<string, unknown> = {};
  const { repositories } = await jsonOf<{ repositories: string[] }>(`${url}/v2/_catalog?n=1000`);
  for (const repository of repositories) {
    const { tags } = await jsonOf<{ tags: string[] | null }>(`${url}/v2/${repository}/tags/list`);
    for (const tag of tags ?? []) {
      await pullByCrane(`${host}/${repository}:${tag}`);
      pulled[`${repository}:${tag} by v2`] = await crane('digest', `${host}/${repository}:${tag}`);
    }
    for (const tag of Object.keys(await jsonOf<Record<string, string>>(`${url}/v1/repositories/${repository}/tags`))) {
      const images = KNOWN_BY_DOCKER_REGISTRY_CLIENT.test(repository)
        ? await pullByDockerRegistryClient(host, repository, tag)
        : await new V1Client(new URL(url)).pull(repository, tag);
      pulled[`${repository}:${tag} by v1`] = images.map(({ layer, ...rest }) => ({ ...rest, layer: digestOf(layer) }));
    }
  }
  return pulled;
}

const ALICE = 'alice';
const BOB = 'bob';
const PASSWORD = 'correct horse';

describe('histories', { concurrency: true }, () => {
  for (const { name, open } of backends) {
    describe(`the history of a tag on ${name}`, () => {
      const atEnd = useCleanup();
      let directory: string;
      let server: ScaledServer;
      const images: TestImage[] = [];
      const homeOf = (user: string) => join(directory, user);
      const craneAs = (user: string, ...args: string[]) => run('crane', args, { env: { DOCKER_CONFIG: homeOf(user) } });
      const headersOf = (user: string) => ({
        Authorization: `Basic ${Buffer.from(`${user}:${PASSWORD}`).toString('base64')}`,
      });

      before(async () => {
        directory = await mkdtemp(join(tmpdir(), 'history-e2e-'));
        atEnd(() => rm(directory, { recursive: true, force: true }));
        const backend = await open();
        atEnd(() => backend.close());
        const htpasswd = join(directory, 'htpasswd');
        const hash = await hashPassword(PASSWORD, 5);
        await writeFile(htpasswd, `${ALICE}:${hash}\n${BOB}:${hash}\n`);
        const access = [
          { repositories: 'prod/*', users: ALICE, actions: '*' },
          { repositories: 'prod/*', users: BOB, actions: ['pull', 'push', 'delete'] },
        ];
        server = await startScaledServer(backend, {
          env: { AUTH: JSON.stringify({ htpasswd }), ACCESS: JSON.stringify(access) },
          retention: { rules: [UNTAGGED] },
        });
        atEnd(() => server.stop());
        for (const user of [ALICE, BOB]) {
          await mkdir(homeOf(user));
          await craneAs(user, 'auth', 'login', '-u', user, '-p', PASSWORD, server.host);
        }
        for (const version of ['first', 'second']) {
          const layers = ['common', version].map((path) => [{ path, content: incompressible(20_000, path) }]);
          images.push(await makeImageOf(join(directory, version), 'app:1.0', layers));
        }
      });

      /** Overwritten by another caller, and deleted by a third step. */
      const pushAndLose = async (repository: string) => {
        const [first, second] = images;
        const reference = `${server.host}/${repository}:1.0`;
        await craneAs(ALICE, 'push', first?.layoutDirectory ?? '', reference);
        const manifest = await craneAs(ALICE, 'manifest', reference);
        await craneAs(BOB, 'push', second?.layoutDirectory ?? '', reference);
        await craneAs(ALICE, 'delete', reference);
        await server.idle();
        const failed = await attempt('crane', ['manifest', reference], { env: { DOCKER_CONFIG: homeOf(ALICE) } });
        assert.notEqual(failed.status, 0);
        return { reference, manifest };
      };
      const expectedMoves = () => {
        const [first = '', second = ''] = images.map(({ manifestDigest }) => manifestDigest);
        return [
          { by: ALICE, from: second, to: null },
          { by: BOB, from: first, to: second },
          { by: ALICE, from: null, to: first },
        ];
      };
      type Move = { at: string; by: string; from: string | null; to: string | null; entry: string };
      const shown = ({ by, from, to }: Move) => ({ by, from: from ?? null, to: to ?? null });
      const assertRecent = (moves: readonly Move[]) => {
        for (const { at } of moves) assert.ok(Math.abs(Date.now() - Date.parse(at)) < 60_000, at);
      };
      /** Byte for byte: crane compares all digests, of layers, config and manifest. */
      const assertRestored = async (reference: string, manifest: string) => {
        assert.equal(await craneAs(BOB, 'manifest', reference), manifest);
        assert.equal((await craneAs(BOB, 'digest', reference)).trim(), images[0]?.manifestDigest);
        await craneAs(BOB, 'validate', '--remote', reference);
      };

      test('shows who moved it, and restores it after a collection, by the command and over HTTP', async () => {
        const byCommand = await pushAndLose('prod/app');
        const overHttp = await pushAndLose('prod/web');
        await collectAll(server);

        const lines = (await stowage(server, 'tag', 'history', 'prod/app:1.0', '--json')).trim().split('\n');
        const moves = lines.map((line) => JSON.parse(line) as Move);
        assert.deepEqual(moves.map(shown), expectedMoves());
        assertRecent(moves);
        await stowage(server, 'tag', 'restore', 'prod/app:1.0', '--to', images[0]?.manifestDigest ?? '');
        await assertRestored(byCommand.reference, byCommand.manifest);

        const url = `${server.url}/v2/_stowage/history/prod/web?tag=1.0`;
        assert.equal((await fetch(url)).status, 401);
        const page = await jsonOf<{ moves: Move[] }>(url, { headers: headersOf(BOB) });
        assert.deepEqual(page.moves.map(shown), expectedMoves());
        assertRecent(page.moves);
        const body = JSON.stringify({ entry: page.moves[2]?.entry });
        await jsonOf(url, { method: 'POST', headers: headersOf(BOB), body });
        await assertRestored(overHttp.reference, overHttp.manifest);
        await server.idle();
        const [latest] = (await jsonOf<{ moves: Move[] }>(url, { headers: headersOf(ALICE) })).moves;
        assert.deepEqual(latest && shown(latest), { by: BOB, from: null, to: images[0]?.manifestDigest });

        await collectAll(server);
        for (const { reference, manifest } of [byCommand, overHttp]) await assertRestored(reference, manifest);
        assert.deepEqual(await errorsIn(server), []);
      });
    });
  }
});
