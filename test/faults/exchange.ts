import { V2Client } from '../v2/client.ts';

/** Sends one request of either protocol. Suites wrap it with timers and counters. */
export type Send = (method: string, path: string, init?: RequestInit) => Promise<Response>;

export type Answer = { status: number; headers: Headers; body: Buffer };

/** The server gave another answer than the one that was asked for. A broken connection is no answer. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly request: string;
  readonly answer: Answer;

  constructor(request: string, answer: Answer) {
    super(`${answer.status} of ${request}: ${answer.body.toString().slice(0, 500)}`);
    this.request = request;
    this.answer = answer;
  }
}

export function sendTo(registry: URL | string): Send {
  const client = new V2Client(new URL(registry));
  return (method, path, init) => client.send(method, path, init);
}

/**
 * Sends a request and reads the answer to its end.
 * @throws Refusal if its status is none of those
 */
export async function exchange(
  send: Send,
  statuses: readonly number[],
  method: string,
  path: string,
  init: RequestInit = {},
): Promise<Answer> {
  const response = await send(method, path, init);
  const { status, headers } = response;
  const answer = { status, headers, body: Buffer.from(await response.bytes()) };
  if (!statuses.includes(status)) throw new Refusal(`${method} ${path.replace(/_state=[^&]*/, '_state=…')}`, answer);
  return answer;
}

export function locationOf({ headers }: Answer): string {
  const location = headers.get('Location');
  if (!location) throw new Error('an answer without a Location');
  return location;
}
