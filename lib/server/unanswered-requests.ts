import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Clients of registries wait for each answer before they send the next request on its connection. */
export const MAX_UNANSWERED = 256;

/** Bounds how many requests of one connection wait for their answers: Node reads on, whether they are answered or not. */
export class UnansweredRequests {
  readonly #counts = new WeakMap<Socket, number>();

  /** Counts a request until its answer has ended. @returns false if its connection has too many, and is closed */
  admit({ socket }: IncomingMessage, response: ServerResponse): boolean {
    this.#count(socket, 1);
    response.once('close', () => this.#count(socket, -1));
    if (this.#of(socket) <= MAX_UNANSWERED) return true;
    socket.destroy();
    return false;
  }

  #of(socket: Socket): number {
    return this.#counts.get(socket) ?? 0;
  }

  #count(socket: Socket, more: number): void {
    this.#counts.set(socket, this.#of(socket) + more);
  }
}
