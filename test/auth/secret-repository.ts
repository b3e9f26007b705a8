// A repository that a caller may not pull from answers exactly like one that does not exist.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { payloadSum, V1Client, type V1Image } from '../support/v1-client.ts';
import { newImage } from '../v1/use-registry.ts';
import { locationOf, V2Client, withDigest } from '../v2/client.ts';
import { chainIdOf, pushImage } from '../v2/image.ts';
import { basic } from './test-auth.ts';

export const USERS = ['alice', 'mallory'];

const ACCESS = [
  { repositories: 'team/*', users: 'alice', actions: '*' },
  { repositories: 'other/*', users: 'mallory', actions: '*' },
];
const OPEN = { repositories: 'public/*', users: 'anonymous', actions: 'pull' };

/** A registry with `USERS`, and with search. */
export type SecretiveRegistry = {
  url: URL;
  /** URL of the server that the images are pushed to: the same one, or another that accepts any login. */
  pushUrl: URL;
  /** Whether an upload continues without a login. */
  hasOpenSessions: boolean;
  /** Resolves when the projections of pushed images are made. */
  idle(): Promise<void>;
  stop(): Promise<void>;
};

export type SecretRepositoryOptions = {
  start(access: object[], isOpenToAll: boolean): Promise<SecretiveRegistry>;
};

/** Names that a caller may know from elsewhere: of objects that exist, or of ones that do not. */
type Known = {
  repository: string;
  tag: string;
  manifest: string;
  blob: string;
  image: string;
  /** Id of a projection, under which mallory had pushed an image before the projection was made. */
  taken: string;
  /** Layers of that manifest. */
  takenBlobs: string[];
};

/** The headers of a caller. */
type Credentials = (known: Known) => Promise<Record<string, string>> | Record<string, string>;

type Attempt = {
  title: string;
  send(known: Known): Promise<Response>;
  /** The expected status, in addition to the comparison of the two answers. */
  status?: number;
};

const hex = () => randomBytes(32).toString('hex');

export function secretRepositorySuite(name: string, { start }: SecretRepositoryOptions): void {
  for (const isOpenToAll of [true, false]) suite(name, start, isOpenToAll);
}

function suite(name: string, start: SecretRepositoryOptions['start'], isOpenToAll: boolean): void {
  describe(`a repository that mallory may not pull from, ${name}, ${isOpenToAll ? 'with a public repository' : 'without a public repository'}`, () => {
    let registry: SecretiveRegistry;
    let there: Known;
    let secretImage: V1Image;
    const notThere: Known = {
      repository: 'team/z', // as long as the other: lengths tell nothing then
      tag: 'latest',
      manifest: `sha256:${hex()}`,
      blob: `sha256:${hex()}`,
      image: hex(),
      taken: hex(),
      takenBlobs: [`sha256:${hex()}`, `sha256:${hex()}`],
    };
    /** Images that mallory pushed under the id of a future base projection, and on top of it. */
    let takenBase: V1Image;
    let onTaken: V1Image;
    const alice = basic('alice');
    const mallory = basic('mallory');

    before(async () => {
      registry = await start(isOpenToAll ? [...ACCESS, OPEN] : ACCESS, isOpenToAll);
      const { pushUrl } = registry;
      const client = new V2Client(pushUrl, alice);
      const { digest, manifest } = await pushImage(client, 'team/a', 'latest', { contents: ['secret'] });
      const { layers } = manifest as { layers: { digest: string }[] };
      // A referrer, and a v1 image in the same repository.
      await pushImage(client, 'team/a', undefined, { contents: ['signature'], config: {} });
      secretImage = newImage();
      await new V1Client(pushUrl, alice.Authorization).push('team/a', [secretImage], { v1: secretImage.id });
      await pushImage(new V2Client(pushUrl, mallory), 'other/m', 'latest', { contents: ['of mallory'] });
      const taken = await pushTaken(client);
      await registry.idle();
      there = {
        repository: 'team/a',
        tag: 'latest',
        manifest: digest,
        blob: layers[0]?.digest ?? '',
        image: secretImage.id,
        ...taken,
      };
    });

    /** A manifest is pushed by digest, as buildkit does, and tagged later; in between mallory pushes under the ids of its projections. */
    const pushTaken = async (client: V2Client) => {
      const pushed = await pushImage(client, 'team/a', undefined, { contents: ['taken base', 'taken top'] });
      const takenBlobs = (pushed.manifest as { layers: { digest: string }[] }).layers.map(({ digest }) => digest);
      const taken = pushed.digest.slice('sha256:'.length);
      takenBase = newImage({ id: chainIdOf(takenBlobs.slice(0, 1)) });
      onTaken = newImage({ parent: takenBase });
      const images = [takenBase, newImage({ id: taken }), onTaken];
      for (const image of images) await pushByV1(image);
      for (const { id } of images) await tagByV1(`taken-${id}`, id);
      assert.equal((await client.pushManifest('team/a', 'taken', pushed.manifest)).status, 201);
      return { taken, takenBlobs };
    };
    const expect = async (status: number, sending: Promise<Response>) => {
      const response = await sending;
      assert.equal(response.status, status, await response.text());
    };
    const pushByV1 = async ({ id, json, layer }: V1Image) => {
      const sum = { 'X-Docker-Checksum-Payload': payloadSum(json, layer) };
      await expect(200, request(mallory, 'PUT', `/v1/images/${id}/json`, { body: json }));
      await expect(200, request(mallory, 'PUT', `/v1/images/${id}/layer`, { body: layer }));
      await expect(200, request(mallory, 'PUT', `/v1/images/${id}/checksum`, { headers: sum }));
    };
    const tagByV1 = async (tag: string, id: string, status = 200) =>
      await expect(
        status,
        request(mallory, 'PUT', `/v1/repositories/other/m/tags/${tag}`, { body: JSON.stringify(id) }),
      );
    after(async () => await registry?.stop());

    /** @param path a path, or a URL of which only the path and query are used */
    const request = async (
      headers: Record<string, string>,
      method: string,
      path: string,
      init: { body?: string | Uint8Array; headers?: Record<string, string> } = {},
    ): Promise<Response> => {
      const { pathname, search } = new URL(path, registry.url);
      return await fetch(new URL(`${pathname}${search}`, registry.url), {
        method,
        redirect: 'manual',
        ...init,
        ...(init.body !== undefined && { body: Buffer.from(init.body) }),
        headers: { ...headers, ...init.headers },
      });
    };

    /** A token for those of these scopes that are granted. */
    const withToken = async (headers: Record<string, string>, ...scopes: string[]) => {
      const query = new URLSearchParams(scopes.map((scope): [string, string] => ['scope', scope]));
      const response = await request(headers, 'GET', `/v2/_token?${query}`);
      assert.equal(response.status, 200);
      return { Authorization: `Bearer ${((await response.json()) as { token: string }).token}` };
    };
    const bearer =
      (headers: Record<string, string>): Credentials =>
      ({ repository }) =>
        withToken(headers, `repository:${repository}:pull,push,delete`, 'repository:other/m:pull');

    const ATTEMPTS_V2 = (as: Credentials): Attempt[] => [
      ...['GET', 'HEAD', 'DELETE'].flatMap((method): Attempt[] => [
        {
          title: `${method} manifest by tag`,
          send: async (k) => request(await as(k), method, `/v2/${k.repository}/manifests/${k.tag}`),
        },
        {
          title: `${method} manifest by digest`,
          send: async (k) => request(await as(k), method, `/v2/${k.repository}/manifests/${k.manifest}`),
        },
        {
          title: `${method} blob`,
          send: async (k) => request(await as(k), method, `/v2/${k.repository}/blobs/${k.blob}`),
        },
      ]),
      { title: 'tags', send: async (k) => request(await as(k), 'GET', `/v2/${k.repository}/tags/list`) },
      {
        title: 'referrers',
        send: async (k) => request(await as(k), 'GET', `/v2/${k.repository}/referrers/${k.manifest}`),
      },
      {
        title: 'PUT manifest',
        send: async (k) => request(await as(k), 'PUT', `/v2/${k.repository}/manifests/${k.tag}`, { body: '{}' }),
      },
      { title: 'POST upload', send: async (k) => request(await as(k), 'POST', `/v2/${k.repository}/blobs/uploads/`) },
      {
        title: 'mount into the secret repository',
        send: async (k) =>
          request(await as(k), 'POST', `/v2/${k.repository}/blobs/uploads/?mount=${k.blob}&from=other/m`),
      },
    ];

    const ATTEMPTS_V1 = (as: Credentials): Attempt[] => [
      ...['images', 'tags', 'tags/latest', 'tags/latest/json', 'json', 'properties'].map(
        (part): Attempt => ({
          title: `v1 GET ${part}`,
          send: async (k) => request(await as(k), 'GET', `/v1/repositories/${k.repository}/${part}`),
        }),
      ),
      ...['', '/images', '/tags', '/tags/latest'].map(
        (part): Attempt => ({
          title: `v1 DELETE ${part || 'the repository'}`,
          send: async (k) => request(await as(k), 'DELETE', `/v1/repositories/${k.repository}${part}`),
        }),
      ),
      ...['', '/images', '/tags/latest', '/properties', '/auth'].map(
        (part): Attempt => ({
          title: `v1 PUT ${part || 'the repository'}`,
          send: async (k) => request(await as(k), 'PUT', `/v1/repositories/${k.repository}${part}`, { body: '[]' }),
        }),
      ),
      ...['GET', 'HEAD'].flatMap((method) =>
        ['json', 'ancestry', 'layer', 'files', 'diff'].map(
          (part): Attempt => ({
            title: `v1 ${method} ${part} of an image`,
            send: async (k) => request(await as(k), method, `/v1/images/${k.image}/${part}`),
          }),
        ),
      ),
      ...['json', 'ancestry', 'layer', 'files', 'diff'].map(
        (part): Attempt => ({
          title: `v1 GET ${part} of a projection whose id mallory had used before`,
          send: async (k) => request(await as(k), 'GET', `/v1/images/${k.taken}/${part}`),
        }),
      ),
      {
        title: 'v1 GET layer of the projection of the manifest',
        send: async (k) => request(await as(k), 'GET', `/v1/images/${k.manifest.slice('sha256:'.length)}/layer`),
      },
    ];

    /** Requests of mallory to her own repository that name objects of the secret one. */
    const ATTEMPTS_AT_HOME: Attempt[] = [
      {
        title: 'GET blob in her own repository',
        send: (k) => request(mallory, 'GET', `/v2/other/m/blobs/${k.blob}`),
        status: 404,
      },
      {
        title: 'GET manifest in her own repository',
        send: (k) => request(mallory, 'GET', `/v2/other/m/manifests/${k.manifest}`),
        status: 404,
      },
      {
        title: 'DELETE blob in her own repository',
        send: (k) => request(mallory, 'DELETE', `/v2/other/m/blobs/${k.blob}`),
        status: 404,
      },
      {
        title: 'mount from the secret repository',
        send: (k) => request(mallory, 'POST', `/v2/other/m/blobs/uploads/?mount=${k.blob}&from=${k.repository}`),
        status: 202,
      },
      {
        title: 'mount from anywhere',
        send: (k) => request(mallory, 'POST', `/v2/other/m/blobs/uploads/?mount=${k.blob}`),
        status: 202,
      },
      {
        title: 'PUT of other bytes with the digest of the blob',
        send: (k) => request(mallory, 'POST', `/v2/other/m/blobs/uploads/?digest=${k.blob}`, { body: 'guess' }),
        status: 400,
      },
      {
        title: 'PUT manifest that lists a secret blob',
        send: (k) =>
          request(mallory, 'PUT', '/v2/other/m/manifests/stolen', {
            body: JSON.stringify({
              schemaVersion: 2,
              mediaType: 'application/vnd.oci.image.manifest.v1+json',
              config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: k.blob, size: 10 },
              layers: [],
            }),
          }),
        status: 400,
      },
      {
        title: 'PUT index that lists a secret manifest',
        send: (k) =>
          request(mallory, 'PUT', '/v2/other/m/manifests/stolen', {
            body: JSON.stringify({
              schemaVersion: 2,
              mediaType: 'application/vnd.oci.image.index.v1+json',
              manifests: [{ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: k.manifest, size: 10 }],
            }),
          }),
        status: 400,
      },
      {
        title: 'GET referrers of a secret manifest in her own repository',
        send: (k) => request(mallory, 'GET', `/v2/other/m/referrers/${k.manifest}`),
        status: 200,
      },
      {
        title: 'v1 PUT tag that names a secret image',
        send: (k) => request(mallory, 'PUT', '/v1/repositories/other/m/tags/stolen', { body: JSON.stringify(k.image) }),
        status: 404,
      },
      {
        title: 'v1 PUT image with a secret parent',
        send: (k) => {
          const id = hex();
          return request(mallory, 'PUT', `/v1/images/${id}/json`, { body: JSON.stringify({ id, parent: k.image }) });
        },
        status: 400,
      },
      {
        title: 'v1 PUT tag that names a projection whose id she had used before',
        send: (k) => request(mallory, 'PUT', '/v1/repositories/other/m/tags/again', { body: JSON.stringify(k.taken) }),
        status: 404,
      },
      {
        title: 'v1 PUT image whose parent is that projection',
        send: (k) => {
          const id = hex();
          return request(mallory, 'PUT', `/v1/images/${id}/json`, { body: JSON.stringify({ id, parent: k.taken }) });
        },
        status: 400,
      },
      {
        title: 'GET manifest by the tag that she had set to that id before',
        send: (k) => request(mallory, 'GET', `/v2/other/m/manifests/taken-${k.taken}`),
        status: 404,
      },
      {
        title: 'v1 GET tag that she had set to that id before',
        send: (k) => request(mallory, 'GET', `/v1/repositories/other/m/tags/taken-${k.taken}`),
        status: 404,
      },
      ...[0, 1].map(
        (index): Attempt => ({
          title: `GET blob of layer ${index} of that projection, in her own repository`,
          send: (k) => request(mallory, 'GET', `/v2/other/m/blobs/${k.takenBlobs[index]}`),
          status: 404,
        }),
      ),
      {
        title: 'v1 GET image after she announced its id in her own _index_images',
        send: async (k) => {
          const list = JSON.stringify([{ id: k.image }]);
          const announced = await request(mallory, 'PUT', '/v1/repositories/other/m/', { body: list });
          const token = { Authorization: announced.headers.get('X-Docker-Token') ?? '' };
          return await request(token, 'GET', `/v1/images/${k.image}/json`);
        },
        status: 404,
      },
      {
        title: 'GET her own upload session at the secret repository',
        send: async (k) => {
          const started = locationOf(await request(mallory, 'POST', '/v2/other/m/blobs/uploads/'));
          return await request(mallory, 'GET', started.replace('/other/m/', `/${k.repository}/`));
        },
        status: 404,
      },
    ];

    /** The whole answer, without names of the request and values that change each time. */
    const told = async (response: Response, known: Known) => {
      let text = JSON.stringify([response.status, await response.text(), [...response.headers]]);
      for (const [key, value] of Object.entries(known)) {
        for (const part of [value].flat()) text = text.replaceAll(part, `<${key}>`);
      }
      return text
        .replaceAll(known.manifest.slice('sha256:'.length), '<manifest hex>')
        .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<uuid>')
        .replaceAll(/"(date|x-request-id|docker-upload-uuid|location|expires|x-docker-token)","[^"]*"/g, '');
    };

    const same = ({ title, send, status }: Attempt) =>
      it(title, async () => {
        const [one, other] = [await send(there), await send(notThere)];
        if (status !== undefined) assert.equal(one.status, status);
        assert.equal(await told(one, there), await told(other, notThere));
      });

    describe('answers as a missing one to mallory', () => {
      for (const attempt of [...ATTEMPTS_V2(() => mallory), ...ATTEMPTS_V1(() => mallory)]) same(attempt);
    });
    describe('answers as a missing one to a token of mallory', () => {
      for (const attempt of [...ATTEMPTS_V2(bearer(mallory)), ...ATTEMPTS_V1(bearer(mallory))]) same(attempt);
    });
    describe('answers as a missing one to an anonymous caller', () => {
      for (const attempt of [...ATTEMPTS_V2(() => ({})), ...ATTEMPTS_V1(() => ({}))]) same(attempt);
    });
    if (isOpenToAll) {
      describe('answers as a missing one to an anonymous token', () => {
        for (const attempt of [...ATTEMPTS_V2(bearer({})), ...ATTEMPTS_V1(bearer({}))]) same(attempt);
      });
    }
    describe('gives mallory nothing in a repository of her own', () => {
      for (const attempt of ATTEMPTS_AT_HOME) same(attempt);
    });

    it('is in no list', async () => {
      const catalog = 'registry:catalog:*';
      const anonymous = {};
      const tokens = [await withToken(mallory, catalog), ...(isOpenToAll ? [await withToken(anonymous, catalog)] : [])];
      for (const path of [
        '/v2/_catalog',
        '/v2/_catalog?n=1',
        '/v2/_catalog?n=1&last=other/m',
        '/v2/_catalog?last=tea',
        '/v1/search?q=team',
        '/v1/search?q=',
        '/v1/search?q=&n=1&page=2',
      ]) {
        for (const headers of [mallory, anonymous, ...tokens]) {
          const response = await request(headers, 'GET', path);
          const text = JSON.stringify([await response.text(), [...response.headers]]);
          // The catalog requires at least an anonymous token, since a login could show more.
          const needsMore = headers === anonymous && (!isOpenToAll || path.startsWith('/v2'));
          assert.equal(response.status, needsMore ? 401 : 200, path);
          assert.doesNotMatch(text.replaceAll('?q=team', '').replaceAll('"query\\": \\"team\\"', ''), /team/, path);
        }
      }
      assert.deepEqual(await (await request(mallory, 'GET', '/v2/_catalog')).json(), { repositories: ['other/m'] });
      const all = await request(mallory, 'GET', '/v1/search?q=');
      assert.equal(((await all.json()) as { num_results: number }).num_results, 1);
    });

    it('keeps its v1 image when mallory pushes the same id without all of its bytes', async () => {
      const { id, json } = secretImage;
      // The answer does not reveal whether the JSON is that of the image.
      for (const body of [JSON.stringify({ id, guess: 1 }), Buffer.from(json).toString()]) {
        assert.equal((await request(mallory, 'PUT', `/v1/images/${id}/json`, { body })).status, 200);
        assert.equal((await request(mallory, 'GET', `/v1/images/${id}/json`)).status, 404);
      }
      const layer = await request(mallory, 'PUT', `/v1/images/${id}/layer`, { body: 'x' });
      assert.equal(layer.status, 409);
      const sum = { headers: { 'X-Docker-Checksum-Payload': `sha256:${hex()}` } };
      assert.equal((await request(mallory, 'PUT', `/v1/images/${id}/checksum`, sum)).status, 409);
      assert.equal((await request(mallory, 'GET', `/v1/images/${id}/layer`)).status, 404);
    });

    it('has projections with other ids than the images that mallory had pushed, which she can still read', async () => {
      const { taken } = there;
      const [, base] = (await (await request(alice, 'GET', `/v1/images/${taken}/ancestry`)).json()) as string[];
      assert.notEqual(base, takenBase.id);
      assert.equal((await request(mallory, 'GET', `/v1/images/${base}/layer`)).status, 404);
      for (const { id, layer } of [takenBase, onTaken]) {
        const got = await followed(await request(mallory, 'GET', `/v1/images/${id}/layer`));
        assert.deepEqual(Buffer.from(await got.arrayBuffer()), Buffer.from(layer));
        const byV2 = await request(mallory, 'GET', `/v2/other/m/manifests/taken-${id}`);
        const { layers } = (await byV2.json()) as { layers: { digest: string }[] };
        for (const { digest } of layers) assert.ok(!there.takenBlobs.includes(digest));
      }
    });

    it('is complete for alice', async () => {
      for (const path of [
        `/v2/team/a/manifests/${there.manifest}`,
        `/v2/team/a/blobs/${there.blob}`,
        '/v2/team/a/tags/list',
        `/v1/images/${there.image}/json`,
        `/v1/images/${there.image}/ancestry`,
        `/v1/images/${there.manifest.slice('sha256:'.length)}/json`,
        `/v1/images/${there.taken}/layer`,
        '/v2/team/a/manifests/taken',
        '/v1/repositories/team/a/tags/taken',
        '/v1/repositories/team/a/tags',
      ]) {
        assert.equal((await followed(await request(alice, 'GET', path))).status, 200, path);
      }
      const layer = await followed(await request(alice, 'GET', `/v1/images/${there.image}/layer`));
      assert.deepEqual(Buffer.from(await layer.arrayBuffer()), Buffer.from(secretImage.layer));
    });

    it('lets a caller with rights to both repositories mount its blob', async () => {
      const mounted = await request(alice, 'POST', `/v2/team/b/blobs/uploads/?mount=${there.blob}&from=team/a`);
      assert.equal(mounted.status, 201);
      const anywhere = await request(alice, 'POST', `/v2/team/c/blobs/uploads/?mount=${there.blob}`);
      assert.equal(anywhere.status, 202, 'alice may not pull from other/*, which may hold the blob');
    });

    it('an upload continues by its session alone, without a login', async () => {
      const started = locationOf(await request(alice, 'POST', '/v2/team/b/blobs/uploads/'));
      const bytes = Buffer.from('bytes');
      const digest = `sha256:${(await crypto.subtle.digest('SHA-256', bytes).then((hash) => Buffer.from(hash))).toString('hex')}`;
      for (const headers of [{}, { Authorization: 'Basic d3Jvbmc6d3Jvbmc=' }, mallory]) {
        const put = await request(headers, 'PUT', withDigest(started, digest), { body: bytes.toString() });
        assert.equal(put.status, headers === mallory || registry.hasOpenSessions ? 201 : 401);
      }
    });
  });
}

/** The body, from storage if the answer redirects there. */
async function followed(response: Response): Promise<Response> {
  return [302, 307].includes(response.status) ? await fetch(locationOf(response)) : response;
}
