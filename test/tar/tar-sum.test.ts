import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { CorruptLayerError } from '../../lib/compression/corrupt-layer-error.ts';
import { StreamTap } from '../../lib/streams/stream-tap.ts';
import { tarSum } from '../../lib/tar/tar-sum.ts';
import { chunked } from './byte-streams.ts';
import { samples } from './samples.ts';
import { rawTar, trailer } from './tar-writer.ts';

const JSON_BYTES = Buffer.from('{"id":"x"}');
const NO_JSON = new Uint8Array();

const sum = (tar: Uint8Array, version: 0 | 1 | 'dev' = 0, json: Uint8Array = JSON_BYTES) =>
  tarSum(json, chunked(tar), version);

// Computed once by another implementation, on Python's tarfile and hashlib.
const rows: { name: keyof typeof samples; v0: string; v1: string }[] = [
  {
    name: 'doubles',
    v0: 'd4443dcfc6bc2e20a14ba83d19f2a9183ef0131ad4a9af49eb15164f00fb03bc',
    v1: '63b7ed2d36182d132c10bdfa9d8e6814409a6277c7c1446b2965670dfed90d06',
  },
  {
    name: 'gnu',
    v0: 'c4d9aaacf8566560b2e6482e1bc20e534d25426584155335e08ff76d8fed9a8f',
    v1: '24391430c06140453897b56b6363e4bf6146b93cb0b950f34fe3b7529bf59fae',
  },
  {
    name: 'names',
    v0: 'a7e66d53d9613f231a1e61f99815aacab11cd6aeed9e0d3be8d0ab20dd183b09',
    v1: '572fc0c20fafadc498a2d6d6ba544431a8a234079467238fe3926989f20a7e59',
  },
  {
    name: 'pax',
    v0: 'd0db2c914b165c81d72ec88c189a8f84d51056168eb11edf33d051a7996fc1c6',
    v1: 'ee34bb022f1c3cde63590ca406a7c03577a8b7b76b19a4e498a431adee0c97df',
  },
  {
    name: 'ustar',
    v0: '423f9bb3f57f600bd778da79d7888de4be02f670e5caff41053fac61c47dbba2',
    v1: '0307bc2b66c8000ca90f92ff0efaab0e6334a196abbd8a0411218d88202e5376',
  },
  {
    name: 'v7',
    v0: '6e284fc15a8e439dfb500caac4362a48a1b5e73343bcd97631eef9df7d7213d3',
    v1: '51538305f9b263d792a6068f03dac790bfb97ebdb9ab8cb3aa6a9139ede53f24',
  },
  {
    name: 'whiteouts',
    v0: 'f522729df1a6a3c5c4e4c8b61db2cb898e8857a3b0726b410a3307e9492ca9fd',
    v1: '4b4991db3e28b638d4f0bb8aa085bfd445720c786c9042bd6ad560729af0e1de',
  },
];

for (const { name, v0, v1 } of rows) {
  test(`the sums of ${name}`, async () => {
    assert.equal(await sum(samples[name], 0), `tarsum+sha256:${v0}`);
    assert.equal(await sum(samples[name], 1), `tarsum.v1+sha256:${v1}`);
    assert.equal(await sum(samples[name], 'dev'), `tarsum.dev+sha256:${v1}`);
  });
}

describe('the sums of the tests of Docker', () => {
  // https://github.com/moby/moby/blob/v1.9.1/pkg/tarsum/tarsum_test.go
  test('of the oldest layer, as Docker 0.4 imported it', async () => {
    const scratch = Buffer.concat([
      rawTar({
        name: './',
        type: '5',
        mode: 0o40755,
        mtimeSeconds: 0o12156431635,
        patches: { 329: '0000000\x000000000\0' },
      }),
      trailer(),
    ]);
    const id = '511136ea3c5a64f264b78b5433614aec563103b4d4702f3ba7d4d2698e22c158';
    const config = {
      Hostname: '',
      Domainname: '',
      User: '',
      Memory: 0,
      MemorySwap: 0,
      CpuShares: 0,
      AttachStdin: false,
      AttachStdout: false,
      AttachStderr: false,
      ExposedPorts: null,
      Tty: false,
      OpenStdin: false,
      StdinOnce: false,
      Env: null,
      Cmd: null,
      Image: '',
      Volumes: null,
      WorkingDir: '',
      Entrypoint: null,
      NetworkDisabled: false,
      OnBuild: null,
    };
    const json = JSON.stringify({
      id,
      comment: 'Imported from -',
      created: '2013-06-13T14:03:50.821769-07:00',
      container_config: config,
      docker_version: '0.4.0',
      architecture: 'x86_64',
      Size: 0,
    });
    const expected = 'tarsum+sha256:c66bd5ec9f87b8f4c6135ca37684618f486a3dd1d113b138d0a177bfa39c2571';
    assert.equal(await sum(scratch, 0, Buffer.from(`${json}\r`)), expected);
  });

  test('of one file of 1 MiB of zeros', async () => {
    const tar = rawTar({ name: '/testdata0', type: '\0', mode: 0o755, data: Buffer.alloc(1024 * 1024) });
    const expected = 'tarsum+sha256:8bf12d7e67c51ee2e8306cba569398b1b9f419969521a12ffb9d8875e8836738';
    assert.equal(await sum(tar, 0, NO_JSON), expected);
  });
});

describe('the sum stays the same', () => {
  test('in any compression', async () => {
    const plain = await sum(samples.ustar);
    assert.equal(await sum(gzipSync(samples.ustar)), plain);
    assert.equal(await sum(zstdCompressSync(samples.ustar)), plain);
  });

  test('without the zeros at the end', async () => {
    assert.equal(await sum(samples.ustar.subarray(0, -1024)), await sum(samples.ustar));
  });

  test('in any order of the files', async () => {
    const [a, b, c] = ['a', 'b', 'c'].map((name) => ({ name, data: name.repeat(500) }));
    assert.ok(a && b && c);
    assert.equal(await sum(rawTar(c, a, b)), await sum(rawTar(a, b, c)));
  });

  test('in version 1, with any mtimes', async () => {
    const [old, young] = [1, 2].map((mtimeSeconds) => rawTar({ name: 'a', mtimeSeconds }));
    assert.ok(old && young);
    assert.equal(await sum(old, 1), await sum(young, 1));
    assert.notEqual(await sum(old, 0), await sum(young, 0));
  });
});

test('the order of two entries with the same path counts', async () => {
  const [first, second] = [rawTar({ name: './a/', type: '5' }), rawTar({ name: 'a', data: 'x' })];
  const ab = Buffer.concat([first, second]);
  const ba = Buffer.concat([second, first]);
  assert.notEqual(await sum(ab), await sum(ba));
});

test('a layer without files and an empty layer have the sum of the JSON', async () => {
  const expected = `tarsum+sha256:${createHash('sha256').update(JSON_BYTES).digest('hex')}`;
  assert.equal(await sum(trailer()), expected);
  assert.equal(await sum(Buffer.alloc(0)), expected);
  assert.equal(await sum(gzipSync('')), expected);
});

test('anything that is not a layer has no sum', async () => {
  await assert.rejects(sum(Buffer.from('text')), CorruptLayerError);
  await assert.rejects(sum(gzipSync('text')), CorruptLayerError);
  await assert.rejects(sum(gzipSync(samples.ustar).subarray(0, -8)), CorruptLayerError);
});

test('the sum is computed in a stream', async () => {
  const layer = gzipSync(samples.ustar);
  const tap = new StreamTap((body) => tarSum(JSON_BYTES, body, 0));
  for await (const chunk of chunked(layer, [10])) await tap.write(chunk);
  assert.equal(await tap.end(), await sum(samples.ustar));
});
