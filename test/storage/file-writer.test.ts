import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { writeBody } from '../../lib/storage/file-writer.ts';
import { MiB } from '../../lib/streams/bytes.ts';

/** A file in memory, each of whose writes waits for `gate` and writes at most `atMostBytes`. */
function fakeFile({ gate = async () => {}, atMostBytes = Infinity, sync = async () => {} } = {}) {
  const calls: number[] = [];
  const written: { position: number; bytes: Buffer }[] = [];
  const file = {
    async writev<B extends readonly NodeJS.ArrayBufferView[]>(buffers: B, position = 0) {
      calls.push(buffers.length);
      await gate();
      const all = Buffer.concat(buffers.filter((buffer) => buffer instanceof Uint8Array)).subarray(0, atMostBytes);
      written.push({ position, bytes: all });
      return { bytesWritten: all.length, buffers };
    },
    datasync: sync,
  };
  const contents = () => {
    const all = Buffer.alloc(Math.max(0, ...written.map(({ position, bytes }) => position + bytes.length)));
    for (const { position, bytes } of written) bytes.copy(all, position);
    return all;
  };
  return { file, calls, contents };
}

const numbered = (count: number, sizeBytes: number) =>
  Array.from({ length: count }, (_, index) => new Uint8Array(sizeBytes).fill(index));

async function* each(chunks: readonly Uint8Array[], onRead: () => void = () => {}) {
  for (const chunk of chunks) {
    onRead();
    yield chunk;
  }
}

const arrival = (turns: number) => ({ sizeBytes: 1, turns });

/** Lets other tasks run for so many turns of the queue of microtasks. */
async function pass(turns = 0): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await null;
}

describe('writeBody', () => {
  it('writes all chunks in order, and gives back each of them', async () => {
    const chunks = [...numbered(3000, 7), new Uint8Array(), ...numbered(9, MiB)];
    const { file, contents } = fakeFile();
    const back = new Set<Uint8Array>();
    await writeBody(file, each(chunks), (chunk) => back.add(chunk));
    assert.ok(contents().equals(Buffer.concat(chunks)));
    assert.deepEqual(
      [...back],
      chunks.filter(({ length }) => length > 0),
    );
  });

  it('writes every chunk, wherever its arrival falls among the turns of a write', async () => {
    const turns = fc.integer({ min: 0, max: 30 });
    const arrivals = fc.array(fc.record({ sizeBytes: fc.integer({ min: 1, max: 9 }), turns }), { maxLength: 12 });
    const writes = fc.array(turns, { minLength: 1, maxLength: 12 });
    const check = async (chunks: { sizeBytes: number; turns: number }[], turnsOfWrites: number[]) => {
      const expected = chunks.map(({ sizeBytes }, index) => new Uint8Array(sizeBytes).fill(index));
      const written = fakeFile({ gate: () => pass(turnsOfWrites[written.calls.length % turnsOfWrites.length]) });
      async function* body() {
        for (const [index, chunk] of expected.entries()) {
          await pass(chunks[index]?.turns);
          yield chunk;
        }
      }
      await writeBody(written.file, body());
      assert.ok(written.contents().equals(Buffer.concat(expected)));
    };
    await fc.assert(fc.asyncProperty(arrivals, writes, check), { examples: [[[arrival(0), arrival(1)], [2]]] });
  });

  it('goes on where a write was incomplete', async () => {
    const chunks = numbered(20, 100);
    const { file, contents } = fakeFile({ atMostBytes: 130 });
    await writeBody(file, each(chunks));
    assert.ok(contents().equals(Buffer.concat(chunks)));
  });

  it('reads on while a write is under way, but not far, and then writes by one call what has come', async () => {
    const release = Promise.withResolvers<void>();
    const { file, calls, contents } = fakeFile({ gate: () => release.promise });
    const chunks = numbered(10, MiB);
    let read = 0;
    const writing = writeBody(
      file,
      each(chunks, () => read++),
    );
    for (let turn = 0; turn < 20; turn++) await nextTurn();
    assert.deepEqual(calls, [1]);
    assert.equal(read, 5, 'one is being written, three wait, and one more was read');
    release.resolve();
    await writing;
    assert.equal(calls[1], 4);
    assert.ok(contents().equals(Buffer.concat(chunks)));
  });

  it('stops reading the body when a write fails, and throws its error', async () => {
    const full = Object.assign(new Error('full'), { code: 'ENOSPC' });
    const { file } = fakeFile({ gate: () => Promise.reject(full) });
    let read = 0;
    const body = each(numbered(100, MiB), () => read++);
    await assert.rejects(writeBody(file, body), (error) => error === full);
    assert.ok(read < 10, `${read} chunks were read`);
  });

  it('throws what the body throws, after the write under way has ended', async () => {
    const release = Promise.withResolvers<void>();
    let isWritten = false;
    const { file } = fakeFile({
      async gate() {
        await release.promise;
        isWritten = true;
      },
    });
    const reason = new Error('the client went away');
    const writing = writeBody(
      file,
      (async function* () {
        yield new Uint8Array(10);
        throw reason;
      })(),
    );
    setTimeout(release.resolve, 20);
    await assert.rejects(writing, (error) => error === reason);
    assert.ok(isWritten);
  });

  it('has the system write a body to the disk while it arrives, one flush at a time', async () => {
    let [syncs, running] = [0, 0];
    const sync = async () => {
      syncs++;
      assert.equal(++running, 1);
      await pass(turnsOfSync);
      running--;
    };
    const { file } = fakeFile({ sync });
    let turnsOfSync = 0;
    await writeBody(file, each(numbered(48, MiB)));
    assert.equal(syncs, 3);
    [turnsOfSync, syncs] = [1000, 0];
    await writeBody(file, each(numbered(48, MiB)));
    assert.ok(syncs === 1 || syncs === 2, `${syncs} flushes, each as long as many writes`);
    assert.equal(running, 0);
    syncs = 0;
    await writeBody(file, each(numbered(15, MiB)));
    assert.equal(syncs, 0);
  });

  it('throws the error of an early flush, which the system reports only once', async () => {
    const broken = Object.assign(new Error('input/output error'), { code: 'EIO' });
    const { file } = fakeFile({ sync: () => Promise.reject(broken) });
    await assert.rejects(writeBody(file, each(numbered(65, MiB))), (error) => error === broken);
  });
});
