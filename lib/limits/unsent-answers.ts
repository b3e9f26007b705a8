// Bounds what is held in memory of answers that clients do not take: Node buffers all that is written and cannot be sent.
import type { ServerResponse } from 'node:http';
import { KiB, MiB } from '../streams/bytes.ts';

export const MAX_BYTES = 64 * MiB;

/** What a stream holds back anyway, and nearly every answer is smaller than. */
const SMALL_BYTES = 64 * KiB;

type Unsent = { response: ServerResponse; address: string };

/** Ends connections, once answers that are not taken hold too much: the oldest of the address that holds the most. */
export class UnsentAnswers {
  readonly #maxBytes: number;
  readonly #answers = new Set<Unsent>();

  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#answers.size;
  }

  /** To be called when all of an answer has been written. @param address of the client, or what counts as one */
  add(response: ServerResponse, address: string): void {
    if (response.writableFinished || response.destroyed || response.writableLength <= SMALL_BYTES) return;
    const answer = { response, address };
    this.#answers.add(answer);
    response.once('close', () => this.#answers.delete(answer));
    while (this.#answers.size > 1 && this.#bytes() > this.#maxBytes) this.#endOne();
  }

  #bytes(): number {
    let bytes = 0;
    for (const { response } of this.#answers) bytes += response.writableLength;
    return bytes;
  }

  #endOne(): void {
    const held = new Map<string, { bytes: number; oldest: Unsent }>();
    for (const answer of this.#answers) {
      const { bytes, oldest } = held.get(answer.address) ?? { bytes: 0, oldest: answer };
      held.set(answer.address, { bytes: bytes + answer.response.writableLength, oldest });
    }
    const [most] = [...held.values()].sort((a, b) => b.bytes - a.bytes);
    if (!most) return;
    this.#answers.delete(most.oldest);
    // The answer to a pipelined request has no socket of its own yet.
    most.oldest.response.req.socket.destroy();
  }
}
