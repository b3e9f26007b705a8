import type { IncomingMessage, ServerResponse } from 'node:http';

/** As long as nginx does. https://nginx.org/en/docs/http/ngx_http_core_module.html#lingering_time */
const LINGER_MS = 30_000;

/**
 * Takes and forgets what still comes of a body when its request has been answered, for `limitMs` at most. A connection
 * that were closed at once would be reset under a client that is still sending, and with it the answer that says why.
 * Of connections that go on after an answer: Node closes the others, of HTTP/1.0 or `Connection: close`, by itself.
 */
export function lingerAfter(response: ServerResponse, request: IncomingMessage, limitMs = LINGER_MS): void {
  response.once('finish', () => {
    if (request.complete || request.destroyed) return;
    const limit = setTimeout(() => request.socket.destroySoon(), limitMs);
    request.once('close', () => clearTimeout(limit));
    request.removeAllListeners('data'); // whoever read some of it would pause it again
    request.resume();
  });
}
