import type { BadRequest } from './bad-requests.ts';
import type { RawAnswer } from './raw-connection.ts';

/** What the HTTP parser refuses gets a bare status; also docker wants an empty 416 for a layer. */
const MAY_BE_EMPTY = [400, 408, 413, 416, 417, 431];

/** What of our insides must not be told. */
const INSIDE =
  /node_modules|\.ts:\d+|\bat \S+ \(|E(?:NOENT|ACCES|NOTDIR|ISDIR|NAMETOOLONG|INVAL)\b|\bcannot be stored as a file\b/;

/** What is wrong with this answer to a client that did something wrong; `undefined` if nothing is. */
export function problemOf({ method, isWhole }: BadRequest, answer: RawAnswer | undefined): string | undefined {
  if (!answer) return isWhole ? 'no answer' : undefined;
  const { status, headers, body } = answer;
  const text = body.toString();
  const what = `${status} with ${text.slice(0, 300)}`;
  if (status >= 500) return what;
  if (status < 400) return undefined;
  if (body.length === 0)
    return method === 'HEAD' || MAY_BE_EMPTY.includes(status) ? undefined : `${status} without a word`;
  if (INSIDE.test(text)) return `tells of our insides: ${what}`;
  if (!headers.get('content-type')?.startsWith('application/json')) return `is not called JSON: ${what}`;
  return isErrorBody(text) ? undefined : `is not an error of either protocol: ${what}`;
}

function isErrorBody(text: string): boolean {
  try {
    const body = JSON.parse(text) as { error?: unknown; errors?: { code: unknown; message: unknown }[] };
    if (typeof body.error === 'string') return true;
    return body.errors?.every(({ code, message }) => typeof code === 'string' && typeof message === 'string') === true;
  } catch {
    return false;
  }
}
