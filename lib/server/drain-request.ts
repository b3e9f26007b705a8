// Reads and drops the rest of a request body. If the server closed the connection while the client still sends, TCP would reset it
// and the client would lose the answer.
import type { IncomingMessage, ServerResponse } from 'node:http';

/** The default of nginx. https://nginx.org/en/docs/http/ngx_http_core_module.html#lingering_time */
export const LINGER_MS = 30_000;

/** After the answer, drops the rest of the request body; ends the connection if that takes longer than `limitMs`. */
export function discardBodyAfterResponse(
  response: ServerResponse,
  request: IncomingMessage,
  limitMs = LINGER_MS,
): void {
  response.once('finish', async () => {
    if (!(await discardRequestBody(request, limitMs))) request.socket.destroySoon();
  });
}

/**
 * Drops the rest of a request body.
 * @param limitMs how long at most
 * @returns false if the body had not ended by then
 */
export async function discardRequestBody(request: IncomingMessage, limitMs = LINGER_MS): Promise<boolean> {
  if (request.complete || request.destroyed) return true;
  return await new Promise((resolve) => {
    // An open connection keeps the process alive by itself; once it is gone there is nothing to wait for.
    const limit = setTimeout(() => resolve(false), limitMs).unref();
    const end = () => {
      clearTimeout(limit);
      resolve(true);
    };
    request.once('end', end).once('close', end);
    request.removeAllListeners('data'); // an earlier reader would pause it again
    request.resume();
  });
}
