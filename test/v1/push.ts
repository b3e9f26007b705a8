import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { payloadSum } from '../support/v1-client.ts';
import { imageCalls } from './image-calls.ts';
import { assertError } from './send.ts';
import { newImage, newImageId, newRepository, type OpenStorage, useRegistry, useStorage } from './use-registry.ts';

/** The three steps of a push. TarSums are in `checksums.ts`. */
export function v1PushSuite(name: string, open: OpenStorage): void {
  describe(`v1 push on ${name}`, () => {
    const storage = useStorage(open);
    const registry = useRegistry(storage);
    const { putJson, putLayer, putChecksum, confirm, assertHidden, assertReadable } = imageCalls(storage, registry);
    /** The objects of an image, by key. */
    const objectsOf = async (id: string) => {
      const keys = await storage.keysBelow(`images/${id}/`);
      return Object.fromEntries(await Promise.all(keys.map(async (key) => [key, await storage.textOf(key)])));
    };

    it('an image and its child are read back unchanged', async () => {
      const a = newImage();
      const b = newImage({ parent: a });
      await registry.push(a, b);
      await registry.tag(newRepository(), 'latest', b.id);
      await assertReadable(a);
      await assertReadable(b);
      const ancestry = await registry.send('GET', `/v1/images/${b.id}/ancestry`);
      assert.equal(ancestry.text, `["${b.id}", "${a.id}"]`);
      assert.equal((await registry.send('GET', `/v1/images/${a.id}/ancestry`)).text, `["${a.id}"]`);
    });

    it('the answers are `true`, and the objects those of docker-registry', async () => {
      const image = newImage();
      const answers = [
        await putJson(image.id, image.json),
        await putLayer(image.id, image.layer),
        await confirm(image),
      ];
      assert.deepEqual(
        answers.map(({ status, text }) => [status, text]),
        [
          [200, 'true'],
          [200, 'true'],
          [200, 'true'],
        ],
      );
      assert.deepEqual(await storage.keysBelow(`images/${image.id}/`), [
        `images/${image.id}/_checksum`,
        `images/${image.id}/ancestry`,
        `images/${image.id}/json`,
        `images/${image.id}/layer`,
      ]);
      assert.equal(
        await storage.textOf(`images/${image.id}/_checksum`),
        JSON.stringify([payloadSum(image.json, image.layer)]),
      );
    });

    const unknown = newImageId();
    const badJson: [title: string, body: (id: string) => string, message: string][] = [
      ['[]', () => '[]', 'Invalid JSON'],
      ['{}', () => '{}', 'Invalid JSON'],
      ['nothing', () => '', 'Invalid JSON'],
      ['null', () => 'null', 'Invalid JSON'],
      ['a string', () => '"x"', 'Invalid JSON'],
      ['broken JSON', (id) => `{"id":"${id}"`, 'Invalid JSON'],
      ['JSON without an id', () => '{"created":"x"}', "Missing key `id' in JSON"],
      ['another id', () => JSON.stringify({ id: unknown }), 'JSON data contains invalid id'],
      ['an id that is no string', () => '{"id":1}', 'JSON data contains invalid id'],
      ...[unknown, 'x', 'a'.repeat(63), '../../x'].map((parent): (typeof badJson)[number] => [
        `the parent ${parent.slice(0, 10)}`,
        (id) => JSON.stringify({ id, parent }),
        'Image depends on a non existing parent',
      ]),
      [
        'a parent that is no string',
        (id) => JSON.stringify({ id, parent: 1 }),
        'Image depends on a non existing parent',
      ],
      ['itself as parent', (id) => JSON.stringify({ id, parent: id }), 'Image depends on a non existing parent'],
    ];
    for (const [title, body, message] of badJson) {
      it(`${title} as JSON is refused, and nothing is written`, async () => {
        const fresh = newImageId();
        assertError(await putJson(fresh, body(fresh)), 400, message);
        assert.deepEqual(await objectsOf(fresh), {});

        const begun = newImage();
        await registry.beginPush(begun);
        const before = await objectsOf(begun.id);
        assertError(await putJson(begun.id, body(begun.id)), 400, message);
        assert.deepEqual(await objectsOf(begun.id), before);
      });
    }

    it('a complete image cannot be pushed again, and does not change', async () => {
      const image = newImage();
      await registry.push(image);
      const before = await objectsOf(image.id);
      for (const headers of [{}, { 'X-Docker-Checksum': 'sha256:0' }, { 'X-Docker-Checksum': 'x' }]) {
        assertError(await putJson(image.id, image.json, headers), 409, 'Image already exists');
        const other = newImage({ id: image.id, comment: 'other' });
        assertError(await putJson(image.id, other.json, headers), 409, 'Image already exists');
      }
      assert.deepEqual(await objectsOf(image.id), before);
    });

    it('the push of an incomplete image can begin again', async () => {
      const image = newImage();
      await registry.beginPush(image);
      const other = newImage({ id: image.id, comment: 'other' });
      assert.equal((await putJson(image.id, other.json)).status, 200);
      await assertHidden(image.id);
      await putLayer(image.id, other.layer);
      assert.equal((await confirm(other)).status, 200);
      await assertReadable(other);
    });

    it('a layer without JSON is refused', async () => {
      const image = newImage();
      assertError(await putLayer(image.id, image.layer), 404, 'Image not found');
      assert.deepEqual(await objectsOf(image.id), {});
    });

    it('the layer of a complete image is not replaced', async () => {
      const image = newImage();
      await registry.push(image);
      assertError(await putLayer(image.id, 'other'), 409, 'Image already exists');
      await assertReadable(image);
    });

    for (const isChunked of [true, false]) {
      it(`a layer is accepted ${isChunked ? 'in chunks' : 'with its length'}, and _inprogress stays`, async () => {
        const image = newImage();
        await putJson(image.id, image.json);
        const answer = await putLayer(image.id, image.layer, isChunked);
        assert.deepEqual([answer.status, answer.text], [200, 'true']);
        assert.equal(await storage.textOf(`images/${image.id}/_inprogress`), 'true');
        await assertHidden(image.id);
        await confirm(image);
        await assertReadable(image);
      });
    }

    it('a layer may be sent twice before it is confirmed', async () => {
      const image = newImage();
      await putJson(image.id, image.json);
      assert.equal((await putLayer(image.id, 'first try')).status, 200);
      assert.equal((await putLayer(image.id, image.layer)).status, 200);
      assert.equal((await confirm(image)).status, 200);
      await assertReadable(image);
    });

    it('a layer is accepted from any client', async () => {
      for (const agent of [
        'docker/0.9.1 go/go1.2.1',
        'docker/0.6.5',
        'docker/x',
        'curl/7.1',
        'docker/1.10.0-dev',
        '',
      ]) {
        const image = newImage();
        await putJson(image.id, image.json);
        const sent = { body: image.layer, isChunked: true, ...(agent && { headers: { 'User-Agent': agent } }) };
        assert.equal((await registry.send('PUT', `/v1/images/${image.id}/layer`, sent)).status, 200);
        assert.equal((await confirm(image)).status, 200);
      }
    });

    describe('a checksum', () => {
      const TOO_OLD =
        'X-Docker-Checksum-Payload not set.  If you are using the Docker daemon, you should upgrade to version 0.10 or later';
      const sum = { 'X-Docker-Checksum-Payload': payloadSum(Buffer.from('x'), Buffer.from('y')) };

      it('that is missing is 412', async () => {
        const image = newImage();
        await registry.beginPush(image);
        assertError(await putChecksum(image.id, {}), 412, TOO_OLD);
        await assertHidden(image.id);
      });

      it('that is empty is 400', async () => {
        const image = newImage();
        await registry.beginPush(image);
        for (const headers of [
          { 'X-Docker-Checksum-Payload': '' },
          { 'X-Docker-Checksum': '' },
          { 'X-Docker-Checksum': '', 'X-Docker-Checksum-Payload': '' },
        ]) {
          assertError(await putChecksum(image.id, headers), 400, "Missing Image's checksum");
        }
        await assertHidden(image.id);
      });

      it('of an unknown image is 404', async () => {
        assertError(await putChecksum(newImageId(), sum), 404, 'Image not found');
      });

      it('of a complete image is 409', async () => {
        const image = newImage();
        await registry.push(image);
        assertError(await confirm(image), 409, 'Cannot set this image checksum');
        assertError(await putChecksum(image.id, sum), 409, 'Cannot set this image checksum');
        await assertReadable(image);
      });

      it('before the layer is 400', async () => {
        const image = newImage();
        await putJson(image.id, image.json);
        assert.equal((await confirm(image)).status, 400);
        assert.equal((await putChecksum(image.id, { 'X-Docker-Checksum': 'sha256:x' })).status, 400);
        await assertHidden(image.id);
      });

      it('before the layer of this push is 400 even if the layer of another push is stored, which can be confirmed', async () => {
        const image = newImage();
        await registry.beginPush(image);
        const again = newImage({ id: image.id, comment: 'again', layer: image.layer });
        await putJson(again.id, again.json);
        assert.equal((await confirm(again)).status, 400);
        await assertHidden(image.id);
        assert.equal((await confirm(image)).status, 200);
        assert.equal((await confirm(again)).status, 409);
        await assertReadable(image);
      });
    });

    it('a wrong checksum leaves the image hidden until it is pushed again', async () => {
      const image = newImage();
      await registry.beginPush(image);
      for (const wrong of [`sha256:${'0'.repeat(64)}`, 'sha256:', 'x', '[]', payloadSum(image.layer, image.json)]) {
        assertError(await putChecksum(image.id, { 'X-Docker-Checksum-Payload': wrong }), 400, 'Checksum mismatch');
        await assertHidden(image.id);
      }
      await registry.push(image);
      await assertReadable(image);
    });

    it('the checksum of the JSON "test" and an empty layer is the known one', async () => {
      const id = newImageId();
      // A client cannot push such a JSON, but the sum is a known value: that of `test` and a newline.
      await storage.put(`images/${id}/json`, 'test');
      await storage.put(`images/${id}/_inprogress`, 'true');
      assert.equal((await putLayer(id, '')).status, 200);
      const known = 'sha256:f2ca1bb6c7e907d06dafe4687e579fce76b37e4e93b7605022da52e6ccc26fd2';
      assert.equal((await putChecksum(id, { 'X-Docker-Checksum-Payload': known })).status, 200);
    });

    it('the right checksum is accepted in either header', async () => {
      const wrong = `tarsum+sha256:${'0'.repeat(64)}`;
      const { json, layer } = newImage();
      const right = payloadSum(json, layer);
      for (const headers of [
        { 'X-Docker-Checksum': right },
        { 'X-Docker-Checksum': wrong, 'X-Docker-Checksum-Payload': right },
        { 'X-Docker-Checksum': right, 'X-Docker-Checksum-Payload': right },
        { 'X-Docker-Checksum': '', 'X-Docker-Checksum-Payload': right },
      ]) {
        const image = newImage();
        await registry.beginPush(image);
        const own = Object.entries(headers).map(([header, sum]) => [
          header,
          sum === right ? payloadSum(image.json, image.layer) : sum,
        ]);
        assert.equal((await putChecksum(image.id, Object.fromEntries(own))).status, 200, JSON.stringify(headers));
        await assertReadable(image);
      }
    });

    it('an incomplete image is hidden, but can be tagged and built on', async () => {
      const image = newImage();
      await registry.beginPush(image);
      await assertHidden(image.id);
      const repository = newRepository();
      await registry.tag(repository, 'latest', image.id);
      assert.deepEqual(await registry.read(`/v1/repositories/${repository}/tags`), { latest: image.id });
      const child = newImage({ parent: image });
      await registry.push(child);
      await assertReadable(child);
      assert.deepEqual(await registry.read(`/v1/images/${child.id}/ancestry`), [child.id, image.id]);
    });

    for (const [title, id] of [
      ['of 63 digits', 'a'.repeat(63)],
      ['of 65 digits', 'a'.repeat(65)],
      ['of 17 digits', 'a'.repeat(17)],
      ['with capitals', 'A'.repeat(64)],
      ['with a newline at its end', `${'a'.repeat(64)}%0A`],
      ['of 16 digits with a newline at its end', `${'a'.repeat(16)}%0A`],
      ['with other letters', 'g'.repeat(64)],
      ['that leads elsewhere', `..%2F${'a'.repeat(61)}`],
    ] as const) {
      it(`an image id ${title} is refused`, async () => {
        for (const [method, part] of [
          ['GET', 'json'],
          ['GET', 'ancestry'],
          ['GET', 'layer'],
          ['PUT', 'json'],
          ['PUT', 'layer'],
          ['PUT', 'checksum'],
        ] as const) {
          assertError(await registry.send(method, `/v1/images/${id}/${part}`), 404, 'Invalid image ID');
        }
      });
    }

    it('image ids have 64 or 16 digits', async () => {
      const short = newImage({ id: newImageId().slice(0, 16) });
      const child = newImage({ parent: short });
      await registry.push(short, child);
      await assertReadable(short);
      await assertReadable(child);
      const repository = newRepository();
      await registry.tag(repository, 'short', short.id);
      assert.deepEqual(await registry.read(`/v1/repositories/${repository}/tags`), { short: short.id });
    });

    describe('the steps of one push', () => {
      const other = useRegistry(storage);
      const third = useRegistry(storage);
      it('can go to different processes', async () => {
        const image = newImage();
        await putJson(image.id, image.json);
        await other.send('PUT', `/v1/images/${image.id}/layer`, { body: image.layer });
        const headers = { 'X-Docker-Checksum-Payload': payloadSum(image.json, image.layer) };
        assert.equal((await third.send('PUT', `/v1/images/${image.id}/checksum`, { headers })).status, 200);
        await assertReadable(image);
      });
    });
  });
}
