import type { IncomingMessage } from 'node:http';
import { MAX_PAYLOAD_BYTES } from './limits.ts';

/** The whole body, since the gateway sends nothing on before it has it; undefined if it is too large. */
export async function readBody(incoming: IncomingMessage, count: (bytes: number) => void): Promise<Buffer | undefined> {
  if (Number(incoming.headers['content-length'] ?? 0) > MAX_PAYLOAD_BYTES) return undefined;
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  // Left open when it is left early: the client shall still read an answer.
  for await (const chunk of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    count(chunk.length);
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_PAYLOAD_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
