import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { payloadSum, type V1Image } from '../support/v1-client.ts';
import { type RawEntry, rawTar, trailer } from '../tar/tar-writer.ts';
import { ENTRIES, LAYERS } from './layer-samples.ts';
import { assertError } from './send.ts';
import { newImage, newImageId, type OpenStorage, useRegistry, useStorage } from './use-registry.ts';

const TAR = Buffer.concat([rawTar(...ENTRIES), trailer()]);

/** Checksums of old clients: TarSums, and checksums that come with the JSON, as docker-registry 0.6.5 allowed. */
export function v1ChecksumsSuite(name: string, open: OpenStorage): void {
  describe(`v1 checksums of old clients on ${name}`, () => {
    const storage = useStorage(open);
    const registry = useRegistry(storage);

    const putChecksum = ({ id }: V1Image, headers: Record<string, string>) =>
      registry.send('PUT', `/v1/images/${id}/checksum`, { headers });
    const putJson = ({ id, json }: V1Image, sum: string) =>
      registry.send('PUT', `/v1/images/${id}/json`, { body: json, headers: { 'X-Docker-Checksum': sum } });
    const putLayer = ({ id, layer }: V1Image) => registry.send('PUT', `/v1/images/${id}/layer`, { body: layer });
    const statusOf = async ({ id }: V1Image) => (await registry.send('GET', `/v1/images/${id}/json`)).status;
    const assertReadable = async (image: V1Image) => {
      assert.equal(await statusOf(image), 200);
      const layer = await registry.send('GET', `/v1/images/${image.id}/layer`);
      assert.ok(layer.bytes.equals(image.layer));
    };

    for (const [form, layer] of Object.entries(LAYERS)) {
      it(`the TarSum of a ${form}, all that Docker before 0.10 sends, completes the image`, async () => {
        const image = newImage({ layer });
        await registry.beginPush(image);
        const answer = await putChecksum(image, { 'X-Docker-Checksum': tarSum(image.json, ENTRIES) });
        assert.deepEqual([answer.status, answer.text], [200, 'true']);
        await assertReadable(image);
      });
    }

    for (const [title, sums, status] of [
      ['both right', (image: V1Image) => [payloadSum(image.json, image.layer), tarSum(image.json, ENTRIES)], 200],
      [
        'the payload sum right, the TarSum wrong',
        (image: V1Image) => [payloadSum(image.json, image.layer), tarSum(image.json, [])],
        200,
      ],
      ['both wrong', (image: V1Image) => [payloadSum(image.layer, image.json), tarSum(image.json, [])], 400],
    ] as const) {
      it(`${title}: ${status}`, async () => {
        const image = newImage({ layer: gzipSync(TAR) });
        await registry.beginPush(image);
        const [payload = '', plain = ''] = sums(image);
        const answer = await putChecksum(image, { 'X-Docker-Checksum-Payload': payload, 'X-Docker-Checksum': plain });
        assert.equal(answer.status, status, answer.text);
        assert.equal(await statusOf(image), status);
      });
    }

    for (const [title, sum] of [
      ['of other files', (image: V1Image) => tarSum(image.json, ENTRIES.slice(1))],
      ['of another JSON', () => tarSum(Buffer.from('{}'), ENTRIES)],
      ['without a hash', () => 'tarsum+sha256:'],
      ['of an unknown version', (image: V1Image) => tarSum(image.json, ENTRIES).replace('tarsum', 'tarsum.v9')],
      ['in capitals', (image: V1Image) => tarSum(image.json, ENTRIES).toUpperCase()],
      ['cut off', (image: V1Image) => tarSum(image.json, ENTRIES).slice(0, -1)],
    ] as const) {
      it(`a TarSum ${title} leaves the image hidden`, async () => {
        const image = newImage({ layer: TAR });
        await registry.beginPush(image);
        assertError(await putChecksum(image, { 'X-Docker-Checksum': sum(image) }), 400, 'Checksum mismatch');
        assert.equal(await statusOf(image), 400);
      });
    }

    it('a layer that is not a tar has no TarSum', async () => {
      for (const layer of [Buffer.from('text'), gzipSync(TAR).subarray(0, 100), TAR.subarray(0, 700)]) {
        const image = newImage({ layer });
        await registry.beginPush(image);
        const answer = await putChecksum(image, { 'X-Docker-Checksum': tarSum(image.json, ENTRIES) });
        assertError(answer, 400, 'Checksum mismatch');
        assert.equal(await statusOf(image), 400);
      }
    });

    for (const [title, sumOf] of [
      ['simple sum', ({ json, layer }: V1Image) => payloadSum(json, layer)],
      ['TarSum', ({ json }: V1Image) => tarSum(json, ENTRIES)],
    ] as const) {
      it(`a ${title} that comes with the JSON completes the image with its layer`, async () => {
        const image = newImage({ layer: gzipSync(TAR) });
        assert.equal((await putJson(image, sumOf(image))).status, 200);
        assert.equal(await statusOf(image), 400);
        const answer = await putLayer(image);
        assert.deepEqual([answer.status, answer.text], [200, 'true']);
        await assertReadable(image);
        const again = await putChecksum(image, { 'X-Docker-Checksum': sumOf(image) });
        assertError(again, 409, 'Cannot set this image checksum');
      });

      it(`a wrong ${title} that comes with the JSON refuses the layer, and the image can be pushed again`, async () => {
        const image = newImage({ layer: gzipSync(TAR) });
        await putJson(image, sumOf(newImage({ layer: TAR })));
        assertError(await putLayer(image), 400, 'Checksum mismatch, ignoring the layer');
        assert.equal(await statusOf(image), 400);
        await registry.push(image);
        await assertReadable(image);
      });
    }

    for (const sum of ['x', 'a:b:c', 'sha256']) {
      it(`${sum} with the JSON is not a checksum, and nothing is written`, async () => {
        const image = newImage();
        assertError(await putJson(image, sum), 400, 'Invalid checksum format');
        assert.deepEqual(await storage.keysBelow(`images/${image.id}/`), []);
      });
    }

    describe('a JSON with a checksum that is refused', () => {
      const complete = newImage();
      const SUM = `sha256:${'0'.repeat(64)}`;
      before(async () => await registry.push(complete));

      it('leaves the checksum of a complete image as it was', async () => {
        const key = `images/${complete.id}/_checksum`;
        const checksum = await storage.textOf(key);
        assertError(await putJson(complete, SUM), 409, 'Image already exists');
        assert.equal(await storage.textOf(key), checksum);
        assert.equal(await statusOf(complete), 200);
      });

      it('writes nothing if there was nothing', async () => {
        const orphan = newImage({ parent: newImage() });
        assertError(await putJson(orphan, SUM), 400, 'Image depends on a non existing parent');
        const other = { ...newImage(), id: newImageId() };
        assertError(await putJson(other, SUM), 400, 'JSON data contains invalid id');
        for (const { id } of [orphan, other]) assert.deepEqual(await storage.keysBelow(`images/${id}/`), []);
      });
    });

    it('a JSON without a checksum removes that of an earlier push', async () => {
      const image = newImage();
      await putJson(image, `sha256:${'0'.repeat(64)}`);
      await registry.push(image);
      await assertReadable(image);
    });
  });
}

/** The TarSum, version 0, as Docker computes it. */
function tarSum(json: Uint8Array, entries: readonly RawEntry[]): string {
  const sums = entries.map(
    ({ name, mode, uid = 0, gid = 0, data = '', mtimeSeconds = 0, type = '0', linkName = '', ...rest }) => {
      const { userName = '', groupName = '', deviceMajor = 0, deviceMinor = 0 } = rest;
      const owner = `mode${mode}uid${uid}gid${gid}size${data.length}mtime${mtimeSeconds}typeflag${type}linkname${linkName}`;
      const head = `name${name}${owner}uname${userName}gname${groupName}devmajor${deviceMajor}devminor${deviceMinor}`;
      return createHash('sha256').update(head).update(data).digest('hex');
    },
  );
  return `tarsum+sha256:${createHash('sha256').update(json).update(sums.toSorted().join('')).digest('hex')}`;
}
