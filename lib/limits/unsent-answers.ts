// Bounds the memory for responses that clients do not receive: Node buffers all bytes that are written and cannot be sent.
import type { ServerResponse } from 'node:http';
import { KiB, MiB } from '../streams/bytes.ts';

export const MAX_BYTES = 64 * MiB;

/** Responses with fewer unsent bytes do not count. Nearly all are smaller, and streams buffer this much anyway. */
const SMALL_BYTES = 64 * KiB;

type Unsent = { response: ServerResponse; address: string };

/** Closes connections when unsent responses take too much memory: each time the oldest of the address that has the most. */
export class UnsentAnswers {
  readonly #maxBytes: number;
  readonly #answers = new Set<Unsent>();

  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#answers.size;
  }

  /**
   * To be called when all of a response has been written.
   * @param address the client's address, or the network that counts as one client
   */
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
    // The response to a pipelined request has no socket yet, but its request has.
    most.oldest.response.req.socket.destroy();
  }
}
