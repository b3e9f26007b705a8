import { once } from 'node:events';
import { connect } from 'node:net';

export type RawAnswer = { status: number; body: string; tookMs: number };

/** Sends a request byte for byte; HTTP clients would normalize or refuse some of them. */
export async function sendRaw(
  url: URL,
  method: string,
  target: string,
  headers: Record<string, string> = {},
  body = '',
): Promise<RawAnswer> {
  const started = performance.now();
  const lines = {
    Host: url.host,
    Connection: 'close',
    ...(body && { 'Content-Length': `${body.length}` }),
    ...headers,
  };
  const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`);
  const socket = connect(Number(url.port), url.hostname);
  socket.write(`${method} ${target} HTTP/1.1\r\n${head.join('')}\r\n${body}`);
  let answer = '';
  socket.on('data', (chunk) => (answer += String(chunk)));
  await once(socket, 'close');
  const at = answer.indexOf('\r\n\r\n');
  return {
    status: Number(answer.split(' ', 2)[1]),
    body: answer.slice(at + 4),
    tookMs: performance.now() - started,
  };
}

/**
 * The first answer within `maxMs` of ten, or the last. A busy machine delays one answer or another, a pattern that backtracks
 * delays all.
 */
export async function firstWithin(maxMs: number, send: () => Promise<RawAnswer>): Promise<RawAnswer> {
  let answer = await send();
  for (let again = 0; again < 9 && answer.tookMs >= maxMs; again++) answer = await send();
  return answer;
}
