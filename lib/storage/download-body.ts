// The body of a download: it arrives in buffers that are lent to its reader, and pauses the connection while all of them are lent.
import { BUFFER_BYTES, Buffers } from '../streams/buffer-pool.ts';
import { type ByteSource, closedError, type LentBytes } from '../streams/byte-source.ts';

const IDLE_MILLISECONDS = 60_000;
/** One is being filled, the others are on their way to the client. */
const BUFFERS = 3;
/** With less room the next bytes go to another buffer, so that system calls stay few. */
const MIN_ROOM_BYTES = BUFFER_BYTES / 2;

export type BodyOptions = {
  /** How long the server may be silent in the middle of the body. Other than 60 s in tests only. */
  idleMilliseconds?: number;
  /** Makes the error that the reader of the body gets. */
  asError: (error: unknown) => unknown;
};

/** Takes what has arrived last: so many bytes, at the beginning of what `target` has returned. */
export type OnBytes = (sizeBytes: number) => void;

/** What a body does with its connection. */
export type BodyConnection = {
  pause(): void;
  resume(): void;
  redirect(target: () => Buffer, onBytes: OnBytes, onFailure: (error: Error) => void): void;
  /**
   * @param isWhole whether the connection may serve another request
   * @param onUnused is called once the connection no longer writes to what `target` has returned
   */
  end(isWhole: boolean, onUnused: () => void): void;
};

/** A buffer that fills up. What has arrived is lent in slices. */
class Filling {
  readonly #buffer: Buffer;
  readonly #give: () => void;
  #arrivedBytes = 0;
  #takenBytes = 0;
  #lent = 0;
  #isRetired = false;

  constructor(buffers: Buffers) {
    const buffer = buffers.takeNow();
    this.#buffer = buffer;
    this.#give = () => buffers.give(buffer);
  }

  /** Where the next bytes go. */
  get room(): Buffer {
    return this.#buffer.subarray(this.#arrivedBytes);
  }

  add(sizeBytes: number): void {
    this.#arrivedBytes += sizeBytes;
  }

  /** All that has arrived and is not lent. */
  take(): LentBytes | undefined {
    if (this.#takenBytes === this.#arrivedBytes) return undefined;
    const bytes = this.#buffer.subarray(this.#takenBytes, this.#arrivedBytes);
    this.#takenBytes = this.#arrivedBytes;
    this.#lent++;
    const release = () => {
      this.#lent--;
      if (this.#isRetired && this.#lent === 0) this.#give();
    };
    return { bytes, release };
  }

  /** Nothing more will arrive in this buffer. */
  retire(): void {
    this.#isRetired = true;
    if (this.#lent === 0) this.#give();
  }
}

/** The body of one response. Reading pauses when all buffers but the one that is being filled are lent, or wait to be. */
export class DownloadBody implements ByteSource {
  readonly #connection: BodyConnection;
  readonly #asError: (error: unknown) => unknown;
  readonly #buffers = new Buffers(BUFFERS);
  /** Slices of buffers that are full. */
  readonly #full: LentBytes[] = [];
  readonly #limit: NodeJS.Timeout;
  #filling: Filling;
  #missingBytes: number;
  #isPaused = true;
  #isOver = false;
  #failure: { error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(
    {
      sizeBytes,
      rest,
      idleMilliseconds = IDLE_MILLISECONDS,
      asError,
    }: { sizeBytes: number; rest: Buffer } & BodyOptions,
    connection: BodyConnection,
  ) {
    this.#connection = connection;
    this.#asError = asError;
    this.#missingBytes = sizeBytes;
    this.#filling = new Filling(this.#buffers);
    this.#limit = setTimeout(() => this.#onSilence(), idleMilliseconds).unref();
    connection.redirect(
      () => this.#filling.room,
      (arrivedBytes) => this.#onBytes(arrivedBytes),
      (error) => this.#fail(error),
    );
    connection.pause();
    rest.copy(this.#filling.room);
    if (rest.length > 0 || sizeBytes === 0) this.#onBytes(rest.length);
  }

  async next(): Promise<LentBytes | undefined> {
    for (;;) {
      const lent = this.#full.shift() ?? this.#takeFilling();
      if (lent) return { bytes: lent.bytes, release: () => this.#release(lent) };
      if (this.#failure) throw this.#failure.error;
      if (this.#isOver) return undefined;
      this.#resume();
      this.#limit.refresh();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  async close(): Promise<void> {
    this.#fail(closedError());
    this.#failure ??= { error: closedError() };
    for (const { release } of this.#full.splice(0)) release();
  }

  #takeFilling(): LentBytes | undefined {
    return this.#isOver ? undefined : this.#filling.take();
  }

  #release({ release }: LentBytes): void {
    release();
    this.#resume();
  }

  #onBytes(arrivedBytes: number): void {
    if (this.#isOver) return;
    this.#missingBytes -= arrivedBytes;
    if (this.#missingBytes < 0) {
      this.#fail(new Error('the server sends more than it announced'));
      return;
    }
    this.#filling.add(arrivedBytes);
    this.#limit.refresh();
    if (this.#missingBytes === 0) this.#end(true);
    else if (this.#filling.room.length < MIN_ROOM_BYTES) this.#refill();
    this.#wake?.();
  }

  #refill(): void {
    this.#takeRest();
    this.#filling.retire();
    this.#filling = new Filling(this.#buffers);
    if (this.#buffers.hasFree) return;
    this.#isPaused = true;
    this.#connection.pause();
  }

  #takeRest(): void {
    const rest = this.#filling.take();
    if (rest) this.#full.push(rest);
  }

  #resume(): void {
    if (!this.#isPaused || this.#isOver || !this.#buffers.hasFree) return;
    this.#isPaused = false;
    this.#connection.resume();
  }

  /** A reader may pause for any time; only a server that is waited for counts as silent. */
  #onSilence(): void {
    if (this.#wake) this.#fail(Object.assign(new Error('the server is silent'), { name: 'TimeoutError' }));
    else this.#limit.refresh();
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#failure = { error: this.#asError(error) };
    this.#end(false);
    this.#wake?.();
  }

  /** @param isWhole whether all bytes have arrived */
  #end(isWhole: boolean): void {
    this.#isOver = true;
    clearTimeout(this.#limit);
    this.#takeRest();
    this.#connection.end(isWhole, () => this.#filling.retire());
  }
}
