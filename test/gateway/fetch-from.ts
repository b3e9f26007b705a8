import { once } from 'node:events';
import { type IncomingMessage, request as requestOf } from 'node:http';
import { buffer } from 'node:stream/consumers';

export type RequestFrom = {
  /** Of this machine, such as 127.1.2.3: Linux takes all that begin with 127 for its own. */
  localAddress: string;
  method: string;
  headers: Record<string, string>;
  body?: Buffer;
};

/** As `fetch` without redirects, but from an address that the test chooses, which `fetch` has no option for. */
export async function fetchFrom(url: URL, { body, ...options }: RequestFrom): Promise<Response> {
  const sent = requestOf(url, options);
  sent.end(body);
  const [answer]: IncomingMessage[] = await once(sent, 'response');
  if (!answer) throw new Error('there is no answer');
  const content = await buffer(answer);
  const headers = Object.entries(answer.headersDistinct).flatMap(([name, values = []]) =>
    values.map((value): [string, string] => [name, value]),
  );
  // Not even no bytes may stand in a 204.
  return new Response(content.length > 0 ? new Uint8Array(content) : null, {
    status: answer.statusCode ?? 0,
    headers,
  });
}
