import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { SigningKeys } from '../../lib/model/signed-token.ts';
import { SessionSigner } from '../../lib/registry/uploads/session.ts';
import { MiB } from '../../lib/streams/bytes.ts';
import type { OpenedStorage } from '../storage/open.ts';
import { withOneMd5 } from '../support/md5-collision.ts';
import { TEST_KEYS } from '../support/registry-server.ts';
import { chunked, codesOf, digestOf, locationOf, withDigest } from '../v2/client.ts';
import { useInterceptedRegistry } from './intercepted-registry.ts';

/** A session may be replayed, late or concurrently: it never changes linked bytes and never mixes two uploads. */
export function replaySuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`on ${name}, an upload session`, () => {
    const registry = useInterceptedRegistry(open);
    const repository = 'replays/app';

    const sendChunk = (method: string, location: string, bytes: Uint8Array, start: number) =>
      registry().client.send(method, location, {
        body: new Uint8Array(bytes),
        headers: { 'Content-Range': `${start}-${start + bytes.length - 1}` },
      });
    const patch = async (location: string, bytes: Uint8Array, start: number) => {
      const response = await sendChunk('PATCH', location, bytes, start);
      assert.equal(response.status, 202);
      return locationOf(response);
    };
    const commit = (location: string, bytes: Uint8Array) =>
      registry().client.send('PUT', withDigest(location, digestOf(bytes)));
    const assertUnknown = async (response: Response) => {
      assert.equal(response.status, 404);
      assert.deepEqual(await codesOf(response), ['BLOB_UPLOAD_UNKNOWN']);
    };

    // With parts of a multipart upload, and with scraps that are too small for one.
    for (const [title, sizeBytes] of Object.entries({ parts: 6 * MiB, scraps: 1000 })) {
      const chunk = () => randomBytes(sizeBytes);

      it(`in ${title}: an older PATCH, replayed after the commit, leaves the blob as it is`, async () => {
        const { client, readBlob } = registry();
        const [first, second] = [chunk(), chunk()];
        const whole = Buffer.concat([first, second]);
        const started = await client.start(repository);
        const one = await patch(started, first, 0);
        const two = await patch(one, second, sizeBytes);
        assert.equal((await commit(two, whole)).status, 201);

        for (const [location, before] of [
          [started, Buffer.alloc(0)],
          [one, first],
        ] as const) {
          const other = chunk();
          const replayed = await sendChunk('PATCH', location, other, before.length);
          // If the replay became a blob, it has a key of its own.
          if (replayed.status === 202) await commit(locationOf(replayed), Buffer.concat([before, other]));
        }
        assert.ok((await readBlob(repository, digestOf(whole))).equals(whole));
      });

      it(`in ${title}: a replayed PATCH changes no upload that another one has begun`, async () => {
        const { client, readBlob } = registry();
        const [first, second, other] = [chunk(), chunk(), chunk()];
        const one = await patch(await client.start(repository), first, 0);
        const two = await patch(one, second, sizeBytes);
        await sendChunk('PATCH', one, other, sizeBytes);
        const whole = Buffer.concat([first, second]);
        const committed = await commit(two, whole);
        // Scraps are never overwritten; a part may be, and then the upload ends.
        if (title === 'parts') await assertUnknown(committed);
        else assert.equal(committed.status, 201);
        const got = await client.send('GET', `/v2/${repository}/blobs/${digestOf(whole)}`);
        assert.equal(got.status, title === 'parts' ? 404 : 200);
        // The client starts again; the wrong part has no effect.
        const again = await patch(await patch(await client.start(repository), first, 0), second, sizeBytes);
        assert.equal((await commit(again, whole)).status, 201);
        assert.ok((await readBlob(repository, digestOf(whole))).equals(whole));
      });

      it(`in ${title}: two concurrent PATCHes at one offset are not mixed`, async () => {
        const { client, readBlob } = registry();
        const first = chunk();
        const one = await patch(await client.start(repository), first, 0);
        const rivals = [chunk(), chunk()];
        const patched = await Promise.all(rivals.map((bytes) => sendChunk('PATCH', one, bytes, sizeBytes)));
        const committed: number[] = [];
        for (const [index, response] of patched.entries()) {
          assert.equal(response.status, 202);
          const whole = Buffer.concat([first, rivals[index] ?? Buffer.alloc(0)]);
          const { status } = await commit(locationOf(response), whole);
          if (status === 201) assert.ok((await readBlob(repository, digestOf(whole))).equals(whole));
          else assert.equal((await client.send('GET', `/v2/${repository}/blobs/${digestOf(whole)}`)).status, 404);
          committed.push(status);
        }
        assert.deepEqual(committed.toSorted(), title === 'parts' ? [201, 404] : [201, 201]);
      });

      it(`in ${title}: a commit takes the parts of its session, and none that were sent later`, async () => {
        const { client, readBlob } = registry();
        const [first, later] = [chunk(), chunk()];
        const one = await patch(await client.start(repository), first, 0);
        await patch(one, later, sizeBytes);
        assert.equal((await commit(one, first)).status, 201);
        assert.ok((await readBlob(repository, digestOf(first))).equals(first));
      });

      it(`in ${title}: a chunk that is repeated with the newer session gets 416 with the Range that has arrived`, async () => {
        const first = chunk();
        const one = await patch(await registry().client.start(repository), first, 0);
        for (const method of ['PATCH', 'PUT']) {
          const url = method === 'PUT' ? withDigest(one, digestOf(first)) : one;
          const again = await sendChunk(method, url, first, 0);
          assert.deepEqual([again.status, again.headers.get('Range')], [416, `0-${sizeBytes - 1}`]);
        }
        assert.equal((await commit(one, first)).status, 201);
      });

      it(`in ${title}: cancelling it does not undo its commit`, async () => {
        const { client, readBlob } = registry();
        const bytes = chunk();
        const one = await patch(await client.start(repository), bytes, 0);
        assert.equal((await commit(one, bytes)).status, 201);
        await client.send('DELETE', one);
        assert.ok((await readBlob(repository, digestOf(bytes))).equals(bytes));
      });
    }

    // The ETag of a part on S3 is its MD5, and two contents with one MD5 can be made.
    for (const [title, moment] of Object.entries({
      'before the commit': 'before',
      'when the commit has seen its own': 'within',
    } as const)) {
      it(`refuses another part with the same MD5 that comes ${title}`, async () => {
        const { client, interceptor, readBlob } = registry();
        const first = randomBytes(6 * MiB);
        const [signed, other] = withOneMd5(6 * MiB);
        const whole = Buffer.concat([first, signed]);
        const one = await patch(await client.start(repository), first, 0);
        const two = await patch(one, signed, first.length);
        const replay = () => patch(one, other, first.length);
        if (moment === 'before') await replay();
        else interceptor.before('completeMultipart', () => true, replay);
        await assertUnknown(await commit(two, whole));
        assert.equal((await client.send('GET', `/v2/${repository}/blobs/${digestOf(whole)}`)).status, 404);
        // A later push of the right bytes, into any repository, succeeds.
        const pushed = locationOf(
          await client.send('PATCH', await client.start('replays/victim'), { body: chunked(whole) }),
        );
        assert.equal((await commit(pushed, whole)).status, 201);
        assert.ok((await readBlob('replays/victim', digestOf(whole))).equals(whole));
      });
    }

    for (const sizeBytes of [1000, 11 * MiB]) {
      it(`of one PATCH: ${sizeBytes} other bytes, sent with its first session, become another blob or none`, async () => {
        const { client, readBlob } = registry();
        const [bytes, other] = [randomBytes(sizeBytes), randomBytes(sizeBytes)];
        const started = await client.start(repository);
        const patched = locationOf(await client.send('PATCH', started, { body: chunked(bytes) }));
        const replayed = locationOf(await client.send('PATCH', started, { body: chunked(other) }));
        assert.equal((await commit(patched, bytes)).status, 201);
        const mixed = await commit(replayed, bytes);
        assert.deepEqual([mixed.status, await codesOf(mixed)], [400, ['DIGEST_INVALID']]);
        assert.ok((await readBlob(repository, digestOf(bytes))).equals(bytes));
      });
    }

    for (const sizeBytes of [1000, 11 * MiB]) {
      it(`of one PATCH of ${sizeBytes} bytes leaves the stored bytes unchanged when more are sent`, async () => {
        const { client, readBlob } = registry();
        const [bytes, more, other] = [randomBytes(sizeBytes), randomBytes(1000), randomBytes(1000)];
        const patched = locationOf(
          await client.send('PATCH', await client.start(repository), { body: chunked(bytes) }),
        );
        const appended = locationOf(await client.send('PATCH', patched, { body: chunked(more) }));
        const rival = locationOf(await client.send('PATCH', patched, { body: chunked(other) }));
        for (const [location, whole] of [
          [appended, Buffer.concat([bytes, more])],
          [rival, Buffer.concat([bytes, other])],
          [patched, bytes],
        ] as const) {
          assert.equal((await commit(location, whole)).status, 201);
          assert.ok((await readBlob(repository, digestOf(whole))).equals(whole));
        }
        // Replayed after the commits, they change no linked bytes.
        await client.send('PATCH', patched, { body: chunked(other) });
        const mixed = await client.send('PUT', withDigest(patched, digestOf(bytes)), { body: new Uint8Array(more) });
        assert.deepEqual([mixed.status, await codesOf(mixed)], [400, ['DIGEST_INVALID']]);
        for (const whole of [bytes, Buffer.concat([bytes, more]), Buffer.concat([bytes, other])]) {
          assert.ok((await readBlob(repository, digestOf(whole))).equals(whole));
        }
      });

      it(`of one PATCH of ${sizeBytes} bytes takes a chunk at its end, and no other`, async () => {
        const { client } = registry();
        const bytes = randomBytes(sizeBytes);
        const patched = locationOf(
          await client.send('PATCH', await client.start(repository), { body: chunked(bytes) }),
        );
        for (const start of [0, 1, sizeBytes - 1, sizeBytes + 1]) {
          for (const method of ['PATCH', 'PUT']) {
            const url = method === 'PUT' ? withDigest(patched, digestOf(bytes)) : patched;
            const refused = await sendChunk(method, url, randomBytes(10), start);
            assert.deepEqual([refused.status, refused.headers.get('Range')], [416, `0-${sizeBytes - 1}`]);
          }
        }
        const last = randomBytes(10);
        const whole = Buffer.concat([bytes, last]);
        const put = await sendChunk('PUT', withDigest(patched, digestOf(whole)), last, sizeBytes);
        assert.equal(put.status, 201);
      });
    }

    /** A stolen session of a whole blob that is not linked yet. */
    const thefts: [string, (location: string, other: string) => string][] = [
      ['for another repository', (location) => location.replace(`/v2/${repository}/`, '/v2/replays/thief/')],
      ['for another upload', (location) => location.replace(/uploads\/[^?]+/, `uploads/${crypto.randomUUID()}`)],
      ['with the signature of another', (location, other) => `${bodyOf(location)}.${other.split('.').at(-1)}`],
      [
        'signed with another secret',
        (location) => signedBy(new SessionSigner(new SigningKeys('another secret')), location),
      ],
      ['with nothing for a signature', (location) => `${bodyOf(location)}.`],
      ['an hour and a second later', (location) => signedBy(SIGNER, location, Date.now() - 3601 * 1000)],
    ];
    for (const [title, steal] of thefts) {
      it(`is refused by every method when it comes ${title}`, async () => {
        const { client } = registry();
        const bytes = randomBytes(1000);
        const patched = locationOf(
          await client.send('PATCH', await client.start(repository), { body: chunked(bytes) }),
        );
        const stolen = steal(patched, await client.start(repository));
        for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
          const url = method === 'PUT' ? withDigest(stolen, digestOf(bytes)) : stolen;
          await assertUnknown(await client.send(method, url));
        }
        for (const place of [repository, 'replays/thief']) {
          assert.equal((await client.send('HEAD', `/v2/${place}/blobs/${digestOf(bytes)}`)).status, 404);
        }
        assert.equal((await commit(patched, bytes)).status, 201); // what was stolen is still its owner's
      });
    }
  });
}

const SIGNER = new SessionSigner(TEST_KEYS);

const bodyOf = (location: string) => location.slice(0, location.lastIndexOf('.'));

/** The same session, signed anew. */
function signedBy(signer: SessionSigner, location: string, nowMs?: number): string {
  const [beginning = '', state = ''] = location.split('_state=');
  const { exp: _, ...session } = JSON.parse(Buffer.from(state.split('.')[0] ?? '', 'base64url').toString());
  return `${beginning}_state=${signer.sign(session, nowMs)}`;
}
