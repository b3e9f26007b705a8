import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BUFFER_BYTES, Buffers } from '../../lib/streams/buffer-pool.ts';
import {
  type ByteSource,
  closedError,
  knownSourceOf,
  sourceOf,
  streamOf,
  writeAll,
} from '../../lib/streams/byte-source.ts';
import { readAll } from '../../lib/streams/bytes.ts';

/** Lends one buffer again and again, each time with the next text. */
class Texts implements ByteSource {
  readonly #texts: string[];
  readonly #buffer = Buffer.alloc(16);
  readonly #failure: Error | undefined;
  lent = 0;
  closed = 0;

  constructor(texts: readonly string[], failure?: Error) {
    this.#texts = [...texts];
    this.#failure = failure;
  }

  async next() {
    if (this.closed > 0) throw closedError();
    const text = this.#texts.shift();
    if (text === undefined && this.#failure) throw this.#failure;
    if (text === undefined) return undefined;
    this.lent++;
    const sizeBytes = this.#buffer.write(text);
    const release = () => {
      this.#buffer.fill('#');
      this.lent--;
    };
    return { bytes: this.#buffer.subarray(0, sizeBytes), release };
  }

  async close() {
    this.closed++;
  }
}

/** Takes a chunk when `take` is called. */
class SlowSink extends Writable {
  taken = '';
  #take: (() => void) | undefined;

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.#take = () => {
      this.taken += chunk.toString();
      done();
    };
    this.emit('held');
  }

  take(): void {
    this.#take?.();
  }
}

describe('a web stream of a source', () => {
  it('has bytes of its own, which do not change once they are released', async () => {
    const source = new Texts(['one ', 'two ', 'three']);
    assert.equal((await readAll(streamOf(source))).toString(), 'one two three');
    assert.equal(source.lent, 0);
  });

  it('reads nothing before its reader does', async () => {
    const source = new Texts(['one']);
    streamOf(source);
    await nextTurn();
    assert.equal(source.lent, 0);
    assert.ok(await source.next());
  });

  it('closes the source when it is cancelled', async () => {
    const source = new Texts(['one']);
    await streamOf(source).cancel();
    assert.equal(source.closed, 1);
  });

  it('leads back to the source until it is read', async () => {
    const source = new Texts(['one']);
    const stream = streamOf(source);
    assert.equal(knownSourceOf(stream), source);
    assert.equal(sourceOf(stream), source);
    stream.getReader();
    assert.equal(knownSourceOf(stream), undefined);
  });
});

describe('a source of a web stream', () => {
  it('passes on its chunks', async () => {
    const source = sourceOf(ReadableStream.from([Buffer.from('one'), Buffer.from('two')]));
    assert.equal((await readAll(streamOf(source))).toString(), 'onetwo');
  });

  it('does not end as if it were complete when it is closed while a chunk is awaited', async () => {
    const source = sourceOf(new ReadableStream());
    const next = source.next();
    await source.close();
    await assert.rejects(next);
  });
});

describe('writing all bytes of a source', () => {
  it('keeps each buffer until the sink has taken it, and resolves after the last', async () => {
    const source = new Texts(['one']);
    const sink = new SlowSink();
    const writing = writeAll(source, sink, sink).then(() => sink.taken);
    await once(sink, 'held');
    await nextTurn();
    assert.equal(source.lent, 1);
    sink.take();
    assert.equal(await writing, 'one');
    assert.equal(source.lent, 0);
    assert.ok(source.closed > 0);
  });

  it('closes the source when the sink is closed, even one that takes nothing and never says why', async () => {
    const source = new Texts(['one', 'two']);
    const sink = new SlowSink();
    const connection = new EventEmitter();
    const writing = writeAll(source, sink, connection);
    await once(sink, 'held');
    sink.destroy();
    connection.emit('close');
    await writing;
    assert.ok(source.closed > 0);
  });

  it('reads nothing for a sink that is closed already', async () => {
    const source = new Texts(['one']);
    const sink = new SlowSink();
    sink.destroy();
    await writeAll(source, sink, sink);
    assert.ok(source.closed > 0);
    assert.equal(sink.taken, '');
  });

  it('fails with the error of the source', async () => {
    const failure = new Error('the disk is gone');
    const source = new Texts(['one'], failure);
    const sink = new SlowSink();
    sink.on('held', () => sink.take());
    await assert.rejects(writeAll(source, sink, sink), failure);
    assert.ok(source.closed > 0);
  });
});

describe('the buffers of a transfer', () => {
  it('are at most as many as allowed: the next one waits until one is given back', async () => {
    const buffers = new Buffers(2);
    const [first] = [await buffers.take(), await buffers.take()];
    assert.equal(first.length, BUFFER_BYTES);
    assert.equal(buffers.hasFree, false);
    const third = buffers.take();
    buffers.give(first);
    assert.equal(await third, first);
    assert.equal(buffers.hasFree, false);
  });

  it('are not waited for once the transfer is closed', async () => {
    const buffers = new Buffers(1);
    const only = await buffers.take();
    const next = buffers.take();
    buffers.close();
    await assert.rejects(next);
    buffers.give(only);
    await assert.rejects(buffers.take());
  });
});
