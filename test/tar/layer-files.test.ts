import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { RegistryError } from '../../lib/model/errors.ts';
import { decodeFileName } from '../../lib/tar/file-name.ts';
import { type LayerFile, listFiles } from '../../lib/tar/layer-files.ts';
import { chunked } from './byte-streams.ts';
import { LONG, samples } from './samples.ts';
import { GNU_MAGIC, pax, rawTar, trailer } from './tar-writer.ts';

// Computed once by docker-registry's code on Python 3's tarfile.
const expected: Record<keyof typeof samples, LayerFile[]> = {
  ustar: [
    ['/', 'd', false, 0, 1371157405, 0o40755, 0, 0],
    ['/etc', 'd', false, 0, 1371157406, 0o755, 0, 0],
    ['/etc/hosts', 'f', false, 20, 1371157407, 0o100644, 1000, 50],
    ['/etc/link', 'l', false, 20, 0, 0o644, 0, 0],
    ['/etc/symlink', 's', false, 0, 0, 0o777, 0, 0],
    ['/dev/null', 'c', false, 0, 0, 0o20666, 0, 0],
    ['/dev/loop0', 'b', false, 0, 0, 0o60660, 0, 0],
    ['/run/pipe', 'i', false, 0, 0, 0o600, 0, 0],
    ['/contiguous', 't', false, 512, 0, 0o644, 0, 0],
    ['/vendor', 'u', false, 7, 0, 0o644, 0, 0],
    ['/empty', 'f', false, 0, 0, 0o644, 0, 0],
    ['/a/prefix/last', 'f', false, 1025, 0, 0o644, 0, 0],
  ],
  v7: [
    ['folder', 'd', false, 0, 0, 0o755, 0, 0],
    ['folder/file', 'f', false, 3, 0, 0o644, 0, 0],
    ['folder/link', 'l', false, 0, 0, 0o644, 0, 0],
  ],
  gnu: [
    [`/${LONG}/${LONG}`, 'f', false, 8, -5, 0o644, 3_000_000, 4_000_000],
    [`/${LONG}/link`, 's', false, 0, 0, 0o644, 0, 0],
    [`/of-docker/${LONG}`, 'f', false, 13, 0, 0o644, 0, 0],
  ],
  pax: [
    ['/café', 'f', false, 3, 1350244992.02396, 0o4755, 5_000_000, 6_000_000],
    [`/${LONG}/${LONG}`, 's', false, 0, -1.5, 0o644, 0, 0],
    ['/size', 'f', false, 4, 0, 0o644, 0, 0],
  ],
  names: [
    ['/bad-\udcff\udcfe-name', 'f', false, 0, 0, 0o644, 0, 0],
    ['/cut-\udce2\udc82', 'f', false, 0, 0, 0o644, 0, 0],
    ['/surrogate-\udced\udcb3\udcbf', 'f', false, 0, 0, 0o644, 0, 0],
    ['/euro-€', 'f', false, 0, 0, 0o644, 0, 0],
    ['/line\nbreak "quoted"', 'f', false, 0, 0, 0o644, 0, 0],
  ],
  whiteouts: [
    ['/', 'd', false, 0, 0, 0o755, 0, 0],
    ['/x', 'f', true, 0, 0, 0o644, 0, 0],
    ['.wh.bare', 'f', false, 0, 0, 0o644, 0, 0],
    ['/absolute', 'f', true, 0, 0, 0o644, 0, 0],
    ['/folder/.wh.y', 'f', false, 0, 0, 0o644, 0, 0],
    ['/', 'f', true, 0, 0, 0o644, 0, 0],
  ],
  doubles: [
    ['/file', 'f', false, 5, 0, 0o644, 0, 0],
    ['file', 'f', false, 6, 0, 0o644, 0, 0],
    ['/folder', 'd', false, 0, 0, 0o644, 0, 0],
    ['folder', 'd', false, 0, 0, 0o700, 0, 0],
  ],
};

for (const [name, tar] of Object.entries(samples)) {
  test(`the files of ${name}`, async () => {
    assert.deepEqual(await Array.fromAsync(listFiles(chunked(tar))), expected[name as keyof typeof samples]);
  });
}

describe('the files are the same', () => {
  // The tar of `samples.whiteouts`, compressed by Python's bz2 and lzma.
  const rows: { title: string; layer: Buffer }[] = [
    { title: 'in gzip', layer: gzipSync(samples.whiteouts) },
    { title: 'in zstd', layer: zstdCompressSync(samples.whiteouts) },
    {
      title: 'in bzip2',
      layer: Buffer.from(
        'QlpoOTFBWSZTWWEvXMEAAJpfkMiAQAH/hAABOHF3Td7gBEAACDAAxkEkk1M0ammmgAANGmNQw0Mhpk0AxDTTRoaMEkTVGmgAB6hmkAAnQQouw6mEc1CsGCoCQNEARot1UGhnuvQUIH6wHCC0QRQVAIYSEyD0EpCjMixGeGHJHeSIbJJ60G1JkklhQMJJKlKWltKXVoLkDAg0sgbFN98pGtwIU2NDzipqr8AeOYExsJ3Qg6aDRAdNSPfSyQqsUFzi69/L7blJIxMpDUksqytBiz7IoJ0DPkghBCtQv4u5IpwoSDCXrmCA',
        'base64',
      ),
    },
    {
      title: 'in xz',
      layer: Buffer.from(
        '/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4BX/ALddABcLvBx9AZXAHUo+eRW/ePpNnfzGGV3a9CWSBhTr0jv1Phlrgq3EiFVhs8QwWpeJOxXhWZ+/TmiwwMAinUbx6Zqz/X8LPO4wfq1XFXMWKB74KhatB4trCpFv0y3Pvp45yIn9xo+FaTC+MeAg1ngXqqejOLBtM3x1ADivTvfjBfsMjeZmdnKCHMEA+CWMx0ueJw1AR+1bD2t1LzfuRTX/MyoaGnPvpJQ0nNeIrfbh61ROqfuJME3TYAAA9ysjSgX3l80AAdMBgCwAAFOakbaxxGf7AgAAAAAEWVo=',
        'base64',
      ),
    },
    { title: 'without zeros at the end', layer: samples.whiteouts.subarray(0, -1024) },
    { title: 'in gzip without zeros at the end', layer: gzipSync(samples.whiteouts.subarray(0, -1024)) },
  ];
  for (const { title, layer } of rows) {
    test(title, async () =>
      assert.deepEqual(await Array.fromAsync(listFiles(chunked(layer, [50]))), expected.whiteouts),
    );
  }
});

test('sparse files have their true name and size', async () => {
  const tar = rawTar(
    { name: 'old', type: 'S', magic: GNU_MAGIC, patches: { 483: '00000004000\0' } },
    pax({ 'GNU.sparse.name': './new', 'GNU.sparse.realsize': '5000' }),
    { name: './GNUSparseFile.0/new', data: 'map' },
  );
  assert.deepEqual(await Array.fromAsync(listFiles(chunked(tar))), [
    ['old', 'S', false, 2048, 0, 0o644, 0, 0],
    ['/new', 'f', false, 5000, 0, 0o644, 0, 0],
  ]);
});

test('a name of 200,000 slashes takes no noticeable time', async () => {
  const path = `${'/'.repeat(200_000)}x`;
  const started = performance.now();
  const [file] = await Array.fromAsync(listFiles(chunked(rawTar(pax({ path }), { type: '5' }), [65_536])));
  assert.ok(performance.now() - started < 2000, 'once it took half a minute');
  assert.equal(file?.[0], path);
});

test('a layer without entries and an empty layer have no files', async () => {
  assert.deepEqual(await Array.fromAsync(listFiles(chunked(trailer()))), []);
  assert.deepEqual(await Array.fromAsync(listFiles(chunked(Buffer.alloc(0)))), []);
  assert.deepEqual(await Array.fromAsync(listFiles(chunked(gzipSync('')))), []);
});

describe('anything that is not a layer is refused', () => {
  const rows: { title: string; layer: Buffer }[] = [
    { title: 'text', layer: Buffer.from('text') },
    { title: 'compressed text', layer: gzipSync('text') },
    { title: 'truncated gzip', layer: gzipSync(samples.ustar).subarray(0, -8) },
    { title: 'a truncated tar', layer: samples.ustar.subarray(0, -2048) },
    { title: 'a magic number alone', layer: Buffer.from('BZh9') },
  ];
  for (const { title, layer } of rows) {
    test(title, async () => {
      await assert.rejects(Array.fromAsync(listFiles(chunked(layer))), (error) => {
        assert.ok(error instanceof RegistryError);
        assert.equal(error.code, 'IMAGE_LAYER_INVALID');
        assert.equal(error.message, 'Layer format not supported');
        return true;
      });
    });
  }
});

test('an error of the stream is thrown unchanged', async () => {
  const failure = new RangeError('connection lost');
  async function* source() {
    yield samples.ustar.subarray(0, 700);
    throw failure;
  }
  await assert.rejects(Array.fromAsync(listFiles(source())), (error) => error === failure);
});

test('different names that are not UTF-8 stay different, in JSON too', () => {
  const names = ['a', '\xc3\xa9', '\xe9', '\xed\xb3\xa9', '\xf0\x9f\x90\xb3', '\xf4\x90\x80\x80', '\xc0\xaf', '\xff'];
  const decoded = names.map(decodeFileName);
  assert.deepEqual(decoded.slice(0, 3), ['a', 'é', '\udce9']);
  assert.equal(decoded[4], '🐳');
  assert.equal(new Set(decoded.map((name) => JSON.stringify(name))).size, names.length);
  for (const name of decoded) assert.equal(JSON.parse(JSON.stringify(name)), name);
});
