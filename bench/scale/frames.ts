// Messages over a socket: four bytes with the length, then the message in the format of V8.
import type { Socket } from 'node:net';
import { deserialize, serialize } from 'node:v8';

const HEADER_BYTES = 4;

const outboxes = new WeakMap<Socket, Buffer[]>();

/** Sends a message, with the others of this turn of the event loop. */
export function sendFrame(socket: Socket, message: unknown): void {
  const body = serialize(message);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(body.length);
  const waiting = outboxes.get(socket);
  if (waiting) {
    waiting.push(header, body);
    return;
  }
  const outbox = [header, body];
  outboxes.set(socket, outbox);
  setImmediate(() => {
    outboxes.delete(socket);
    socket.write(Buffer.concat(outbox));
  });
}

/** Calls `onMessage` with each message that arrives. */
export function receiveFrames(socket: Socket, onMessage: (message: unknown) => void): void {
  let chunks: Buffer[] = [];
  let bufferedBytes = 0;
  let wantedBytes = HEADER_BYTES;
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    bufferedBytes += chunk.length;
    if (bufferedBytes < wantedBytes) return;
    const bytes = chunks.length === 1 ? chunk : Buffer.concat(chunks);
    let at = 0;
    wantedBytes = HEADER_BYTES;
    while (bytes.length - at >= HEADER_BYTES) {
      const end = at + HEADER_BYTES + bytes.readUInt32BE(at);
      if (end > bytes.length) {
        wantedBytes = end - at;
        break;
      }
      onMessage(deserialize(bytes.subarray(at + HEADER_BYTES, end)));
      at = end;
    }
    chunks = at < bytes.length ? [bytes.subarray(at)] : [];
    bufferedBytes = bytes.length - at;
  });
}
