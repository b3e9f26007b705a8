import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { KiB } from '../../lib/streams/bytes.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import type { V1Image } from '../support/v1-client.ts';
import { type Answer, assertError } from './send.ts';
import { newImage, newImageId, type OpenStorage, useRegistry, useStorage } from './use-registry.ts';

const YEAR_SECONDS = 365 * 24 * 60 * 60;

/** The parts of an image, and their cache headers. */
const PARTS = ['json', 'ancestry', 'layer'];

/**
 * Reads of images. `files` and `diff` are in `layer-contents.ts`.
 * @param presigns whether the storage makes presigned URLs
 */
export function v1ReadingSuite(name: string, open: OpenStorage, { presigns }: { presigns: boolean }): void {
  describe(`v1 reading on ${name}`, () => {
    const storage = useStorage(open);
    const registry = useRegistry(storage);
    const ten = newImage({ layer: Buffer.from('0123456789') });
    const empty = newImage({ layer: Buffer.alloc(0) });
    const gzipped = newImage();
    const incomplete = newImage();
    before(async () => {
      await registry.push(ten, empty, gzipped);
      await registry.beginPush(incomplete);
    });

    const get = ({ id }: Pick<V1Image, 'id'>, part: string, headers: Record<string, string> = {}, method = 'GET') =>
      registry.send(method, `/v1/images/${id}/${part}`, { headers });
    const getRange = (image: V1Image, range: string) => get(image, 'layer', { Range: range });

    it('a layer has a Content-Length and is cacheable for a year', async () => {
      const answer = await get(gzipped, 'layer', { 'Accept-Encoding': 'gzip' });
      assert.equal(answer.status, 200);
      assert.ok(answer.bytes.equals(gzipped.layer));
      assert.equal(answer.header('Content-Type'), 'application/octet-stream');
      assert.equal(answer.header('Content-Length'), String(gzipped.layer.length));
      assert.equal(answer.header('Accept-Ranges'), 'bytes');
      assert.equal(answer.header('Content-Encoding'), undefined, 'Go would unpack the layer on its way');
      assertCacheable(answer);
    });

    for (const part of PARTS) {
      it(`HEAD of the ${part} has the headers of GET and no body`, async () => {
        const [got, head] = [await get(ten, part), await get(ten, part, {}, 'HEAD')];
        assert.deepEqual([head.status, head.text], [200, '']);
        for (const header of [
          'Content-Type',
          'Content-Length',
          'Accept-Ranges',
          'Cache-Control',
          'Last-Modified',
          'X-Docker-Size',
          'X-Docker-Checksum-Payload',
        ]) {
          if (part === 'layer' || header !== 'Content-Length')
            assert.equal(head.header(header), got.header(header), header);
        }
        assertCacheable(head);
      });

      it(`the ${part} is cacheable for a year, in any time zone of the registry`, async () => {
        const zone = process.env.TZ;
        try {
          for (const other of ['Asia/Tokyo', 'America/Los_Angeles']) {
            process.env.TZ = other;
            assertCacheable(await get(ten, part));
          }
        } finally {
          if (zone === undefined) delete process.env.TZ;
          else process.env.TZ = zone;
        }
      });
    }

    for (const [range, contentRange, content] of [
      ['bytes=2-4', 'bytes 2-4/10', '234'],
      ['bytes=8-', 'bytes 8-9/10', '89'],
      ['bytes=8-10', 'bytes 8-9/10', '89'],
      ['bytes=8-99', 'bytes 8-9/10', '89'],
      ['bytes=0-0', 'bytes 0-0/10', '0'],
      ['bytes=9-9', 'bytes 9-9/10', '9'],
      ['bytes=0-', 'bytes 0-9/10', '0123456789'],
      ['bytes=0-9', 'bytes 0-9/10', '0123456789'],
      ['bytes=1-10', 'bytes 1-9/10', '123456789'],
    ] as const) {
      it(`${range} of ten bytes is ${content}`, async () => {
        const answer = await getRange(ten, range);
        assert.deepEqual([answer.status, answer.text], [206, content]);
        assert.equal(answer.header('Content-Range'), contentRange);
        assert.equal(answer.header('Content-Length'), String(content.length));
        assert.equal(answer.header('Content-Type'), 'application/octet-stream');
        assertCacheable(answer);
      });
    }

    it('Docker 1.5 resumes a layer to its end', async () => {
      // Its ranges after three bytes and after all bytes: it names the end one past the last byte.
      const size = (await get(ten, 'json')).header('X-Docker-Size');
      const rest = await getRange(ten, `bytes=3-${size}`);
      assert.deepEqual([rest.status, rest.text], [206, '3456789']);
      const end = await getRange(ten, `bytes=${size}-${size}`);
      assert.deepEqual([end.status, end.header('Content-Length')], [416, '0']);
    });

    for (const range of ['bytes=10-', 'bytes=10-10', 'bytes=99-100']) {
      it(`${range} of ten bytes is 416 and not cacheable`, async () => {
        for (const method of ['GET', 'HEAD']) {
          const answer = await get(ten, 'layer', { Range: range }, method);
          assert.deepEqual([answer.status, answer.text], [416, '']);
          assert.equal(answer.header('Content-Length'), '0');
          assertNotCacheable(answer);
        }
      });
    }

    it('bytes=-3 is the last three bytes', async () => {
      const answer = await getRange(ten, 'bytes=-3');
      assert.deepEqual([answer.status, answer.text], [206, '789']);
      assert.equal(answer.header('Content-Range'), 'bytes 7-9/10');
    });

    for (const range of ['bytes=a-b', 'items=0-1', 'bytes=0-1,3-4', 'bytes=-', 'bytes', 'bytes=1', 'x', '']) {
      it(`Range: ${range || '(empty)'} gets the whole layer`, async () => {
        const answer = await getRange(ten, range);
        assert.deepEqual([answer.status, answer.text], [200, '0123456789']);
        assert.equal(answer.header('Content-Range'), undefined);
      });
    }

    it('an empty layer is pushed and read like any other', async () => {
      for (const method of ['GET', 'HEAD']) {
        const answer = await get(empty, 'layer', {}, method);
        assert.deepEqual([answer.status, answer.text], [200, '']);
        assert.equal(answer.header('Content-Length'), '0');
      }
      assert.equal((await get(empty, 'json')).header('X-Docker-Size'), '0');
      assert.deepEqual(await storage.leftovers(), []);
    });

    for (const part of PARTS) {
      for (const date of ['Thu, 01 Jan 1970 00:00:00 GMT', 'Fri, 31 Dec 2100 23:59:59 GMT', 'nonsense', '0']) {
        it(`If-Modified-Since: ${date} of the ${part} is 304`, async () => {
          const answer = await get(ten, part, { 'If-Modified-Since': date });
          assert.deepEqual([answer.status, answer.text], [304, '']);
          assertCacheable(answer);
        });
      }

      it(`If-Modified-Since of the ${part} of an unknown image is 404`, async () => {
        const answer = await get({ id: newImageId() }, part, { 'If-Modified-Since': 'x' });
        assertError(answer, 404, 'Image not found');
        assertNotCacheable(answer);
      });

      it(`If-Modified-Since of the ${part} of an incomplete image is 400`, async () => {
        const answer = await get(incomplete, part, { 'If-Modified-Since': 'x' });
        assertError(answer, 400, 'Image is being uploaded, retry later');
        assertNotCacheable(answer);
      });

      it(`the ${part} of an unknown image is 404 and not cacheable`, async () => {
        const answer = await get({ id: newImageId() }, part);
        assertError(answer, 404, 'Image not found');
        assertNotCacheable(answer);
        const head = await get({ id: newImageId() }, part, {}, 'HEAD');
        assert.deepEqual([head.status, head.text], [404, '']);
      });
    }

    it('an image without a layer has JSON and ancestry only', async () => {
      const id = newImageId();
      await storage.put(`images/${id}/json`, JSON.stringify({ id }));
      await storage.put(`images/${id}/ancestry`, JSON.stringify([id]));
      const json = await get({ id }, 'json');
      assert.deepEqual([json.status, json.header('X-Docker-Size')], [200, undefined]);
      assertError(await get({ id }, 'layer'), 404, 'Image not found');
    });

    describe('with storage_redirect', () => {
      const redirecting = useRegistry(storage, { settings: { storageRedirect: true } });
      const layerOf = ({ id }: Pick<V1Image, 'id'>, headers: Record<string, string> = {}) =>
        redirecting.send('GET', `/v1/images/${id}/layer`, { headers });

      if (presigns) {
        it('a layer is a redirect to a URL that needs no login', async () => {
          for (const image of [ten, gzipped, empty]) {
            const answer = await layerOf(image, { Authorization: 'Basic dTpw' });
            assert.equal(answer.status, 302);
            assert.doesNotMatch(answer.header('Cache-Control') ?? '', /public/, 'the URL is valid for minutes only');
            const there = await fetch(answer.header('Location') ?? '');
            assert.equal(there.status, 200);
            assert.ok(Buffer.from(image.layer).equals(await there.bytes()));
            assert.equal(there.headers.get('Content-Encoding'), null);
            assert.equal(there.headers.get('Content-Length'), String(image.layer.length));
          }
        });

        it('a Range works there too', async () => {
          const answer = await layerOf(ten, { Range: 'bytes=3-10' });
          assert.equal(answer.status, 302);
          const there = await fetch(answer.header('Location') ?? '', { headers: { Range: 'bytes=3-10' } });
          assert.deepEqual([there.status, await there.text()], [206, '3456789']);
          assert.equal(there.headers.get('Content-Range'), 'bytes 3-9/10');
        });
      } else {
        it('storage without URLs streams the layer', async () => {
          const answer = await layerOf(ten);
          assert.deepEqual([answer.status, answer.text], [200, '0123456789']);
        });
      }

      it('a missing layer is 404, one that is being pushed 400', async () => {
        assertError(await layerOf({ id: newImageId() }), 404, 'Image not found');
        assertError(await layerOf(incomplete), 400, 'Image is being uploaded, retry later');
      });
    });

    describe('with nginx_x_accel_redirect', () => {
      const behindNginx = useRegistry(storage, { settings: { nginxXAccelRedirect: '/acc' } });
      const layerOf = ({ id }: Pick<V1Image, 'id'>) => behindNginx.send('GET', `/v1/images/${id}/layer`);

      it('nginx gets the path of the layer and sends it', async () => {
        const answer = await layerOf(ten);
        assert.deepEqual([answer.status, answer.text], [200, '']);
        assert.equal(answer.header('X-Accel-Redirect'), `/acc/images/${ten.id}/layer`);
      });

      it('a missing layer is 404, one that is being pushed 400', async () => {
        for (const [image, status] of [
          [{ id: newImageId() }, 404],
          [incomplete, 400],
        ] as const) {
          const answer = await layerOf(image);
          assert.deepEqual([answer.status, answer.header('X-Accel-Redirect')], [status, undefined]);
        }
      });
    });

    it('a missing object is answered at once', async () => {
      const started = performance.now();
      for (let round = 0; round < 10; round++) {
        await get({ id: newImageId() }, 'json');
        await registry.send('GET', `/v1/repositories/tests/unknown${round}/tags/latest`);
      }
      assert.ok(performance.now() - started < 4000, 'docker-registry took 0.4 s for each');
    });

    describe('storage that fails in the middle of a layer', () => {
      const failing = useRegistry(storage, {
        alter: (driver) =>
          alterDriver(driver, (original) => ({
            async get(key, options) {
              const object = await original.get(key, options);
              if (!object || !key.endsWith('/layer')) return object;
              return { info: object.info, body: ReadableStream.from(breakOff(object.body)) };
            },
          })),
      });
      it('closes the connection instead of letting the client wait', { timeout: 10_000 }, async () => {
        const large = newImage({ layer: randomBytes(200 * KiB) });
        await registry.push(large);
        await assert.rejects(failing.send('GET', `/v1/images/${large.id}/layer`), { code: 'ECONNRESET' });
      });

      it('a small layer is read before the answer begins, so the failure is a status', async () => {
        await assert.rejects(failing.send('GET', `/v1/images/${ten.id}/layer`), /500 of GET .*internal error/);
      });
    });
  });
}

async function* breakOff(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    yield chunk.subarray(0, 3);
    throw new Error('storage broke off, as the test wanted it to');
  }
}

function assertCacheable(answer: Answer): void {
  assert.equal(answer.header('Cache-Control'), 'public, max-age=31536000');
  assert.equal(answer.header('Last-Modified'), 'Thu, 01 Jan 1970 00:00:00 GMT');
  assert.equal(answer.header('Pragma'), undefined);
  const expires = answer.header('Expires') ?? '';
  assert.match(expires, /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
  assert.ok(Math.abs((Date.parse(expires) - Date.now()) / 1000 - YEAR_SECONDS) < 60, expires);
}

function assertNotCacheable(answer: Answer): void {
  assert.match(answer.header('Cache-Control') ?? '', /no-cache|no-store/);
  assert.equal(answer.header('Last-Modified'), undefined);
}
