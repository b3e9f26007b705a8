// `If-Match`, `If-None-Match` and `If-Range`, on any storage.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { OpenedStorage } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { codesOf, digestOf, V2Client } from './client.ts';

const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';

/** A manifest without blobs and children. */
const indexOf = (name: string) =>
  Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [], annotations: { name } }));
const etagOf = (bytes: Buffer) => `"${digestOf(bytes)}"`;

export function preconditionsSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`preconditions on ${name}`, () => {
    let storage: OpenedStorage;
    let server: RegistryServer;
    let client: V2Client;
    before(async () => {
      storage = await open();
      server = await startRegistry(storage.driver, { isImmutable: (repository) => repository === 'if/immutable' });
      client = new V2Client(server.url);
    });
    after(async () => {
      await server.stop();
      await storage.close();
    });

    const put = async (reference: string, body: Buffer, headers: Record<string, string> = {}, repository = 'if/app') =>
      await client.send('PUT', `/v2/${repository}/manifests/${reference}`, { body, headers });
    const digestAt = async (reference: string) =>
      (await client.send('HEAD', `/v2/if/app/manifests/${reference}`)).headers.get('Docker-Content-Digest');

    const [one, two, three] = [indexOf('one'), indexOf('two'), indexOf('three')];
    const rows: [title: string, before: Buffer | undefined, headers: Record<string, string>, isTaken: boolean][] = [
      ['If-None-Match: * and no tag', undefined, { 'If-None-Match': '*' }, true],
      ['If-None-Match: * and a tag', one, { 'If-None-Match': '*' }, false],
      ['If-None-Match: * and a tag of the same manifest', two, { 'If-None-Match': '*' }, false],
      ['If-None-Match of the manifest that is there', one, { 'If-None-Match': etagOf(one) }, false],
      ['If-None-Match of it among others, weak', one, { 'If-None-Match': `"x", W/${etagOf(one)}` }, false],
      ['If-None-Match of another', one, { 'If-None-Match': etagOf(three) }, true],
      ['If-Match: * and no tag', undefined, { 'If-Match': '*' }, false],
      ['If-Match: * and a tag', one, { 'If-Match': '*' }, true],
      ['If-Match of the manifest that is there', one, { 'If-Match': etagOf(one) }, true],
      ['If-Match of it among others', one, { 'If-Match': `"x",${etagOf(one)}` }, true],
      ['If-Match of it, weak, which matches nothing', one, { 'If-Match': `W/${etagOf(one)}` }, false],
      ['If-Match of another', one, { 'If-Match': etagOf(three) }, false],
      ['If-Match of what is there, and no tag', undefined, { 'If-Match': etagOf(one) }, false],
      ['both, of which one does not hold', one, { 'If-Match': '*', 'If-None-Match': etagOf(one) }, false],
    ];
    for (const [index, [title, there, headers, isTaken]] of rows.entries()) {
      it(`a push to a tag with ${title} is ${isTaken ? 'accepted' : 'refused with 412 and changes nothing'}`, async () => {
        const tag = `row${index}`;
        if (there) assert.equal((await put(tag, there)).status, 201);
        const response = await put(tag, two, headers);
        if (isTaken) assert.equal(response.status, 201, await response.text());
        else assert.deepEqual([response.status, await codesOf(response)], [412, ['PRECONDITION_FAILED']]);
        const expected = isTaken ? two : there;
        assert.equal(await digestAt(tag), expected ? digestOf(expected) : null);
      });
    }

    it('a push by digest checks whether the manifest exists', async () => {
      const manifest = indexOf('by digest');
      const digest = digestOf(manifest);
      const status = async (headers: Record<string, string>) => (await put(digest, manifest, headers)).status;
      assert.equal(await status({ 'If-Match': '*' }), 412);
      assert.equal(await status({ 'If-Match': etagOf(manifest) }), 412);
      assert.equal(await digestAt(digest), null);
      assert.equal(await status({ 'If-None-Match': '*' }), 201);
      assert.equal(await status({ 'If-None-Match': '*' }), 412);
      assert.equal(await status({ 'If-None-Match': etagOf(manifest) }), 412);
      assert.equal(await status({ 'If-Match': etagOf(manifest) }), 201);
      assert.equal(await status({ 'If-Match': etagOf(one) }), 412);
    });

    it('one of several concurrent pushes with If-None-Match: * gets the tag', async () => {
      for (const round of [1, 2, 3]) {
        const pushes = Array.from({ length: 8 }, (_, number) => indexOf(`race ${round} ${number}`));
        const headers = { 'If-None-Match': '*' };
        const statuses = await Promise.all(
          pushes.map(async (bytes) => (await put(`race${round}`, bytes, headers)).status),
        );
        assert.deepEqual(statuses.toSorted(), [201, ...Array(7).fill(412)]);
        assert.equal(await digestAt(`race${round}`), digestOf(pushes[statuses.indexOf(201)] ?? ''));
      }
    });

    it('one of several concurrent pushes with the same If-Match succeeds', async () => {
      await put('swap', one);
      const pushes = Array.from({ length: 8 }, (_, number) => indexOf(`swap ${number}`));
      const headers = { 'If-Match': etagOf(one) };
      const statuses = await Promise.all(pushes.map(async (bytes) => (await put('swap', bytes, headers)).status));
      assert.deepEqual(statuses.toSorted(), [201, ...Array(7).fill(412)]);
      assert.equal(await digestAt('swap'), digestOf(pushes[statuses.indexOf(201)] ?? ''));
    });

    it('a precondition is that of the reference: further tags move in any case', async () => {
      await put('further', one);
      await put('moved', three);
      const path = 'further?tag=moved&tag=new';
      assert.equal((await put(path, two, { 'If-Match': etagOf(three) })).status, 412);
      assert.deepEqual([await digestAt('moved'), await digestAt('new')], [digestOf(three), null]);
      assert.equal((await put(path, two, { 'If-Match': etagOf(one) })).status, 201);
      for (const tag of ['further', 'moved', 'new']) assert.equal(await digestAt(tag), digestOf(two), tag);
      assert.equal((await put('created?tag=moved', one, { 'If-None-Match': '*' })).status, 201);
      for (const tag of ['created', 'moved']) assert.equal(await digestAt(tag), digestOf(one), tag);
    });

    it('of concurrent pushes with the same precondition, only the accepted one sets its further tags', async () => {
      await put('first', one);
      const pushes = Array.from({ length: 8 }, (_, number) => indexOf(`further ${number}`));
      const statuses = await Promise.all(
        pushes.map(async (bytes, number) => {
          const response = await put(`first?tag=further${number}`, bytes, { 'If-Match': etagOf(one) });
          return response.status;
        }),
      );
      const isSet = await Promise.all(pushes.map(async (_, number) => (await digestAt(`further${number}`)) !== null));
      assert.equal(isSet.filter(Boolean).length, 1);
      assert.deepEqual(
        isSet,
        statuses.map((status) => status === 201),
      );
    });

    it('an immutable further tag is refused, and the others are set', async () => {
      const putImmutable = async (reference: string, bytes: Buffer, headers = {}) =>
        (await put(reference, bytes, headers, 'if/immutable')).status;
      assert.equal(await putImmutable('kept', one), 201);
      assert.equal(await putImmutable('fresh?tag=kept&tag=other', two, { 'If-None-Match': '*' }), 403);
      for (const [tag, bytes] of [
        ['kept', one],
        ['fresh', two],
        ['other', two],
      ] as const) {
        const response = await client.send('HEAD', `/v2/if/immutable/manifests/${tag}`);
        assert.equal(response.headers.get('Docker-Content-Digest'), digestOf(bytes), tag);
      }
    });

    it('an immutable tag moves with no precondition', async () => {
      const status = async (bytes: Buffer, headers = {}) => (await put('v1', bytes, headers, 'if/immutable')).status;
      assert.equal(await status(one, { 'If-None-Match': '*' }), 201);
      assert.equal(await status(two, { 'If-Match': etagOf(one) }), 403);
      assert.equal(await status(one, { 'If-Match': etagOf(one) }), 201);
    });

    it('a range is sent if If-Range names the blob', async () => {
      const { digest } = await client.pushBlob('if/app', Buffer.from('0123456789'));
      for (const [ifRange, status, text] of [
        [`"${digest}"`, 206, '234'],
        [`W/"${digest}"`, 200, '0123456789'],
        ['"other"', 200, '0123456789'],
        ['Thu, 01 Jan 1970 00:00:00 GMT', 200, '0123456789'],
      ] as const) {
        const headers = { Range: 'bytes=2-4', 'If-Range': ifRange };
        const response = await client.send('GET', `/v2/if/app/blobs/${digest}`, { headers });
        assert.deepEqual([response.status, await response.text()], [status, text], ifRange);
      }
      const headers = { Range: 'bytes=20-', 'If-Range': '"other"' };
      assert.equal((await client.send('GET', `/v2/if/app/blobs/${digest}`, { headers })).status, 200);
    });
  });
}
