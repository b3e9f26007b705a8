import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamTap } from '../../lib/streams/stream-tap.ts';
import { collect } from '../tar/byte-streams.ts';

const chunk = (text: string) => Buffer.from(text);

test('the consumer reads what is written, and end gives its result', async () => {
  const tap = new StreamTap(async (body) => (await collect(body)).toString());
  await tap.write(chunk('one '));
  await tap.write(chunk('two'));
  assert.equal(await tap.end(), 'one two');
});

test('the writer waits for the consumer', async () => {
  const gate = Promise.withResolvers<void>();
  const tap = new StreamTap(async (body) => {
    for await (const _ of body) await gate.promise;
  });
  let writes = 0;
  const writing = (async () => {
    for (; writes < 100; writes += 1) await tap.write(chunk('x'));
  })();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(writes < 5, `${writes} chunks are held`);
  gate.resolve();
  await writing;
  await tap.end();
});

test('a consumer that has failed does not block the writer, and end throws its error', async () => {
  const failure = new RangeError('not a tar');
  for (const consume of [
    async () => Promise.reject(failure),
    async (body: AsyncIterable<Uint8Array>) => {
      for await (const _ of body) throw failure;
    },
  ]) {
    const tap = new StreamTap<void>(consume);
    for (let index = 0; index < 10; index += 1) await tap.write(chunk('x'));
    await assert.rejects(tap.end(), (error) => error === failure);
  }
});

test('a consumer that stops reading does not block the writer', async () => {
  const tap = new StreamTap(async () => 'enough');
  for (let index = 0; index < 10; index += 1) await tap.write(chunk('x'));
  assert.equal(await tap.end(), 'enough');
});

test('a destroyed stream fails the consumer', async () => {
  const failed = Promise.withResolvers<unknown>();
  const tap = new StreamTap(async (body) => {
    try {
      return await collect(body);
    } catch (error) {
      failed.resolve(error);
      throw error;
    }
  });
  await tap.write(chunk('x'));
  const failure = new RangeError('connection lost');
  tap.destroy(failure);
  assert.equal(await failed.promise, failure);
});
