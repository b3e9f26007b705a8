// Bounds the memory for request bodies that are read as a whole: manifests, image JSON, lists, forms.
import { type Bytes, concatBytes, MiB, tooLarge } from '../streams/bytes.ts';
import { type Hold, type Holder, MemoryLimit } from './memory-limit.ts';
import { receiving } from './transfers.ts';

/** For the bytes of bodies: 16 bodies of the largest size, eight of them of one caller. */
export const ARRIVED_BYTES = 64 * MiB;

/** For parsed bodies: three of the largest size, or 1,200 manifests of 10 KiB. */
export const PARSED_BYTES = 256 * MiB;

/** How many bytes of memory one byte of JSON takes at worst: V8 parses `{},` to an object of 56 bytes and a pointer of 8. */
export const PARSED_PER_BYTE = 21;

export type BodyMemoryOptions = { arrived?: MemoryLimit; parsed?: MemoryLimit };

/** The limits of one process. */
export class BodyMemory {
  readonly arrived: MemoryLimit;
  readonly parsed: MemoryLimit;

  constructor({
    arrived = new MemoryLimit({ maxBytes: ARRIVED_BYTES }),
    parsed = new MemoryLimit({ maxBytes: PARSED_BYTES }),
  }: BodyMemoryOptions = {}) {
    this.arrived = arrived;
    this.parsed = parsed;
  }

  /** @param signal aborts when the client of the request goes away */
  open(holder: Holder, signal: AbortSignal): RequestMemory {
    return new RequestMemory(this, holder, signal);
  }
}

/** The memory that one request holds until the response has been sent. */
export class RequestMemory {
  readonly #memory: BodyMemory;
  readonly #holder: Holder;
  readonly #signal: AbortSignal;
  readonly #holds: Hold[] = [];

  constructor(memory: BodyMemory, holder: Holder, signal: AbortSignal) {
    this.#memory = memory;
    this.#holder = holder;
    this.#signal = signal;
  }

  /**
   * Reads a body, waiting while there is no memory for more of it, and reserves the memory to parse it.
   * @param what names the body in messages: `the manifest`
   * @throws RegistryError SIZE_INVALID as soon as the body is larger than `maxBytes`; TOOMANYREQUESTS and UNAVAILABLE as
   *   `Hold.take`
   */
  async read(body: AsyncIterable<Uint8Array>, maxBytes: number, what: string): Promise<Bytes> {
    const arrived = this.#open(this.#memory.arrived);
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const chunk of receiving(body, arrived.slot)) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) throw tooLarge(maxBytes, what);
      await arrived.take(chunk.length, this.#signal);
      chunks.push(chunk);
    }
    await this.#open(this.#memory.parsed).take(sizeBytes * PARSED_PER_BYTE, this.#signal);
    return concatBytes(chunks);
  }

  release(): void {
    for (const hold of this.#holds.splice(0)) hold.release();
  }

  #open(limit: MemoryLimit): Hold {
    const hold = limit.open(this.#holder);
    this.#holds.push(hold);
    return hold;
  }
}
