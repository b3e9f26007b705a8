// Every endpoint of v1 and v2 with every kind of credentials: the exact status, error body and challenge.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { startRegistry } from '../support/registry-server.ts';
import { V1Client } from '../support/v1-client.ts';
import { newImage, newImageId } from '../v1/use-registry.ts';
import { digestOf, V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { Credentials } from './matrix-credentials.ts';
import {
  ACCESS,
  BEARERS,
  type Endpoint,
  emptyIndex,
  isOfV2,
  OPEN,
  REPOSITORY,
  SCHEMES,
  V1,
  V2,
} from './matrix-endpoints.ts';
import { type Asked, INVALID, type Place } from './matrix-rules.ts';
import { basic } from './test-auth.ts';

/** A registry with the users `BEARERS`, search, and `SECRET` for its key. */
export type MatrixRegistry = {
  url: URL;
  place: Place;
  /** Its storage. */
  driver: StorageDriver;
  /** @param client number of the machine that sends it, below 65,536: guesses at passwords are limited by address */
  send(url: URL, request: SentRequest, client: number): Promise<Response>;
  stop(): Promise<void>;
};

export type SentRequest = { method: string; headers: Record<string, string>; body?: Buffer<ArrayBuffer> };

export type MatrixOptions = {
  start(access: object[], isOpenToAll: boolean): Promise<MatrixRegistry>;
  expected(asked: Asked, place: Place): string;
  /** Added to the endpoints of v1 and v2. */
  further?: readonly Endpoint[];
};

type World = { manifest: string; blob: string; image: string };

export function matrixSuite(name: string, { start, expected, further = [] }: MatrixOptions): void {
  for (const isOpenToAll of [true, false]) {
    describe(`every kind of credentials at every endpoint, ${name}, ${isOpenToAll ? 'with' : 'without'} a public repository`, () => {
      let registry: MatrixRegistry;
      let credentials: Credentials;
      let world: World;
      before(async () => {
        registry = await start(isOpenToAll ? [...ACCESS, OPEN] : ACCESS, isOpenToAll);
        world = await fill(registry.driver);
        credentials = await Credentials.open(registry.url, registry.driver);
      });
      after(async () => await registry?.stop());

      let clients = 0;

      const pathOf = async (path: string) =>
        path
          .replace('<session>', path.includes('<session>') ? await newSession(registry.url) : '')
          .replace('<new manifest>', path.includes('<new manifest>') ? await newManifest(registry.url) : '')
          .replace('<new blob>', path.includes('<new blob>') ? await newBlob(registry.url) : '')
          .replace('<manifest>', world.manifest)
          .replace('<blob>', world.blob)
          .replace('<image>', world.image)
          .replace('<new image>', newImageId());

      const ask = async (endpoint: Endpoint, Authorization?: string): Promise<string> => {
        const { method, path, body, headers } = endpoint;
        const request = {
          method,
          headers: { ...headers, ...(Authorization !== undefined && { Authorization }) },
          ...(body !== undefined && { body: Buffer.from(body) }),
        };
        return await outcomeOf(
          endpoint,
          await registry.send(new URL(await pathOf(path), registry.url), request, clients),
        );
      };

      for (const endpoint of [...V2, ...V1, ...further]) {
        it(`${endpoint.method} ${endpoint.path}`, async () => {
          const answer = (asked: Omit<Asked, 'endpoint'>) => expected({ endpoint, ...asked }, registry.place);
          const actual: Record<string, string> = { anonymous: await ask(endpoint) };
          const wanted: Record<string, string> = { anonymous: answer({ who: 'anonymous' }) };
          for (const scheme of SCHEMES) {
            for (const bearer of BEARERS) {
              const shown = await credentials.of(scheme, bearer, endpoint.repository ?? REPOSITORY);
              actual[`${scheme} ${bearer}`] = await ask(endpoint, shown);
              wanted[`${scheme} ${bearer}`] = answer({ scheme, who: bearer });
            }
            for (const title of INVALID) {
              clients++;
              actual[`${scheme} ${title}`] = await ask(endpoint, await credentials[title](scheme));
              wanted[`${scheme} ${title}`] = answer({ scheme, who: title });
            }
          }
          assert.deepEqual(actual, wanted);
        });
      }
    });
  }
}

/** A v2 image and a v1 image in the repository, pushed through another process on the same storage. */
async function fill(driver: StorageDriver): Promise<World> {
  const server = await startRegistry(driver);
  try {
    const { digest, manifest } = await pushImage(new V2Client(server.url), REPOSITORY, 'latest', {
      contents: ['matrix'],
    });
    const image = newImage();
    await new V1Client(server.url).push(REPOSITORY, [image], { v1: image.id });
    await server.idle();
    const { layers } = manifest as { layers: { digest: string }[] };
    return { manifest: digest, blob: layers[0]?.digest ?? '', image: image.id };
  } finally {
    await server.stop();
  }
}

/** Starts an upload. @returns its path and query, for this host */
async function newSession(url: URL): Promise<string> {
  const { pathname, search } = new URL(await new V2Client(url, basic('admin')).start(REPOSITORY), url);
  return `${pathname}${search}`;
}

/** The digest of a new manifest. */
async function newManifest(url: URL): Promise<string> {
  const index = emptyIndex(randomUUID());
  const { status } = await new V2Client(url, basic('admin')).pushManifest(
    REPOSITORY,
    digestOf(index),
    JSON.parse(index),
  );
  assert.equal(status, 201);
  return digestOf(index);
}

async function newBlob(url: URL): Promise<string> {
  const { digest, response } = await new V2Client(url, basic('admin')).pushBlob(REPOSITORY, Buffer.from(randomUUID()));
  assert.equal(response.status, 201);
  return digest;
}

/**
 * Status, the whole body of an error, and the challenge: `401 {"error":"log in first"} Basic realm="Ours"`. `hidden` marks a challenge that a
 * gateway has renamed.
 */
async function outcomeOf(endpoint: Endpoint, response: Response): Promise<string> {
  const { status, headers } = response;
  const parts = [String(status)];
  const text = await response.text();
  if (status >= 400 && endpoint.method !== 'HEAD') parts.push(text);
  const challenge = headers.get('WWW-Authenticate');
  const renamed = headers.get('x-amzn-remapped-www-authenticate');
  if (status === 401) {
    if (challenge !== null) parts.push(challenge);
    if (renamed !== null) parts.push('hidden', renamed);
  }
  // The v1 index also sends tokens in this header; it is a challenge only with a 401.
  else if (isOfV2(endpoint)) assert.deepEqual([challenge, renamed], [null, null]);
  return parts.join(' ');
}
