import type { Context } from 'hono';
import { errorResponse, isServerError } from '../http/error-response.ts';
import type { Log } from '../model/log.ts';

/** Answers an error as the protocol of the path has it, and logs it if the server is its cause. */
export function onError(log: Log) {
  return (error: Error, c: Context): Response => {
    const fields = { requestId: c.get('requestId'), method: c.req.method, path: c.req.path };
    if (c.req.raw.signal.aborted) log.info('client went away', { ...fields, reason: error.message });
    else if (isServerError(error)) log.error('request failed', { ...fields, error });
    const response = errorResponse(c.req.path.startsWith('/v2') ? 'v2' : 'v1', error);
    response.headers.set('X-Request-Id', c.get('requestId'));
    return response;
  };
}
