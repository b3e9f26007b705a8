import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CorruptLayerError } from '../../lib/compression/corrupt-layer-error.ts';
import { decompress } from '../../lib/compression/decompress.ts';
import { decompressLayer } from '../../lib/tar/decompress-layer.ts';
import { chunked, collect } from '../tar/byte-streams.ts';
import { furtherSamples, samples, unsupported } from './samples.ts';

const UNLIMITED = { maxBytes: Number.POSITIVE_INFINITY, maxRatio: Number.POSITIVE_INFINITY };

describe('a compressed layer is unpacked', () => {
  for (const { title, packed, content } of [...samples, ...furtherSamples]) {
    test(title, async () => {
      const unpacked = await collect(decompressLayer(chunked(packed, [1, 7, 100, 3]), UNLIMITED));
      assert.ok(unpacked.equals(content), `${unpacked.length} bytes instead of ${content.length}`);
    });
  }
});

describe('a stream truncated at any byte is an error', () => {
  for (const { title, format, packed } of samples.filter((sample) => !sample.title.includes('two members'))) {
    test(title, async () => {
      const isAtAnEnd = (length: number) => length < 40 || length > packed.length - 40;
      for (let length = 0; length < packed.length; length += isAtAnEnd(length) ? 1 : 13) {
        const cut = decompress(chunked(packed.subarray(0, length)), format);
        await assert.rejects(collect(cut), CorruptLayerError, `${length} of ${packed.length} bytes`);
      }
    });
  }
});

describe('a flipped bit is an error, or does not change the result', () => {
  for (const { title, format, packed, content } of samples) {
    test(title, async () => {
      for (let bit = 0; bit < 8 * packed.length; bit += 31) {
        const broken = Buffer.from(packed);
        broken[bit >> 3] = (broken[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const unpacked = await collect(decompress(chunked(broken), format)).catch((error: unknown) => {
          assert.ok(error instanceof CorruptLayerError, `bit ${bit}: ${error}`);
          return content;
        });
        assert.ok(unpacked.equals(content), `bit ${bit}`);
      }
    });
  }
});

describe('random bytes are an error', () => {
  for (const { title, format, packed } of samples.filter((sample) => sample.title.endsWith('text'))) {
    test(title, async () => {
      const body = fc.tuple(fc.nat(packed.length), fc.uint8Array({ maxLength: 3000 }));
      await fc.assert(
        fc.asyncProperty(body, async ([goodBytes, noise]) => {
          const broken = Buffer.concat([packed.subarray(0, goodBytes), noise]);
          await collect(decompress(chunked(broken, [64]), format)).catch((error: unknown) => {
            assert.ok(error instanceof CorruptLayerError, String(error));
          });
        }),
      );
    });
  }
});

describe('an unsupported feature is an error', () => {
  for (const { title, format, packed } of unsupported) {
    test(title, async () => {
      await assert.rejects(collect(decompress(chunked(packed), format)), CorruptLayerError);
    });
  }
});

describe('the source', () => {
  for (const { title, format, packed, content } of samples) {
    test(`${title}: its error is thrown unchanged`, async () => {
      const failure = new RangeError('connection lost');
      async function* source() {
        yield packed.subarray(0, packed.length >> 1);
        throw failure;
      }
      await assert.rejects(collect(decompress(source(), format)), (error) => error === failure);
    });

    if (content.length === 0) continue;
    test(`${title}: it is closed when the reader stops`, async () => {
      const closed = Promise.withResolvers<void>();
      async function* source() {
        try {
          for (;;) yield packed;
        } finally {
          closed.resolve();
        }
      }
      for await (const _ of decompress(source(), format)) break;
      await closed.promise;
    });
  }

  test('is read with back-pressure', async () => {
    const zeros = furtherSamples.find(({ title }) => title.includes('zeros'));
    assert.ok(zeros);
    for (const { format, packed } of [zeros, ...samples.filter(({ content }) => content.length > 0)]) {
      let readBytes = 0;
      async function* source() {
        for (;;) {
          readBytes += packed.length;
          yield packed;
        }
      }
      const unpacked = decompress(source(), format);
      await unpacked.next();
      await new Promise((resolve) => setTimeout(resolve, 5));
      await unpacked.return(undefined);
      assert.ok(readBytes < 3_000_000, `${format} read ${readBytes} bytes ahead`);
    }
  });
});

test('bzip2: a forged run of 2^40 bytes is an error at once', async () => {
  const bits = [
    ...['BZh9', '1AY&SY', '\0\0\0\0'].flatMap((text) => [...Buffer.from(text)].map((byte) => [byte, 8] as const)),
    [0, 1], // not scrambled
    [0, 24], // begins at 0
    [0x8000, 16], // the only byte is 0
    [0x8000, 16],
    [2, 3], // two codes
    [1, 15], // for one group
    [0, 1], // the first
    ...Array.from({ length: 2 }, () => [0b00001_0_100_0, 10] as const), // RUNA 0, RUNB 10, the end 11
    ...Array.from({ length: 40 }, () => [0b10, 2] as const),
    [0b11, 2],
    [0, 7],
  ] as const;
  const text = bits.map(([value, count]) => value.toString(2).padStart(count, '0')).join('');
  const packed = Buffer.from(text.match(/.{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? []);
  await assert.rejects(collect(decompress(chunked(packed), 'bzip2')), /longer than its stream allows/);
});

test('other tasks run while a decompression bomb is unpacked', async () => {
  const zeros = furtherSamples.find(({ title }) => title.includes('zeros'));
  assert.ok(zeros);
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 1);
  for await (const _ of decompress(chunked(zeros.packed), zeros.format, UNLIMITED)) {
    // only unpacked
  }
  clearInterval(timer);
  assert.ok(turns > 10, `${turns} turns`);
});

test('an unknown format is an error', async () => {
  await assert.rejects(collect(decompressLayer(chunked(Buffer.from('plain text')))), CorruptLayerError);
});

test('a tar and an empty layer are passed on unchanged', async () => {
  assert.equal((await collect(decompressLayer(chunked(Buffer.alloc(0))))).length, 0);
  const tar = Buffer.alloc(1024);
  assert.deepEqual(await collect(decompressLayer(chunked(tar, [100]))), tar);
});
