// A connection that is closed while its client still sends is reset, and with it goes the answer that says why the client
// was refused.
import type { IncomingMessage, ServerResponse } from 'node:http';

/** As long as nginx does. https://nginx.org/en/docs/http/ngx_http_core_module.html#lingering_time */
const LINGER_MS = 30_000;

/** Takes and forgets what still comes of a body when its request has been answered, then ends the connection if that is too much. */
export function lingerAfter(response: ServerResponse, request: IncomingMessage, limitMs = LINGER_MS): void {
  response.once('finish', async () => {
    if (!(await takeRest(request, limitMs))) request.socket.destroySoon();
  });
}

/**
 * Takes and forgets what still comes of a body, for `limitMs` at most.
 * @returns false if it has not ended by then
 */
export async function takeRest(request: IncomingMessage, limitMs = LINGER_MS): Promise<boolean> {
  if (request.complete || request.destroyed) return true;
  return await new Promise((resolve) => {
    const limit = setTimeout(() => resolve(false), limitMs);
    const end = () => {
      clearTimeout(limit);
      resolve(true);
    };
    request.once('end', end).once('close', end);
    request.removeAllListeners('data'); // whoever read some of it would pause it again
    request.resume();
  });
}
