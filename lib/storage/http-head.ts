// Heads of responses, as far as the HTTP clients of this directory understand them: HTTP/1.1, nothing unusual.
// https://www.rfc-editor.org/rfc/rfc9112
import { KiB } from '../streams/bytes.ts';

export const MAX_HEAD_BYTES = 16 * KiB;
export const HEAD_END = '\r\n\r\n';

/** Names are in lower case, and values of the same name are joined by a comma. */
export type Head = { status: number; headers: Readonly<Record<string, string>> };

const STATUS_LINE = /^HTTP\/1\.1 (\d{3})(?: |$)/;
/** `name: value`. https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2 */
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)$/;

/** @param text without `HEAD_END`. @returns `undefined` if it is not understood */
export function parseHead(text: string): Head | undefined {
  const [statusLine = '', ...lines] = text.split('\r\n');
  const status = STATUS_LINE.exec(statusLine)?.[1];
  if (status === undefined) return undefined;
  const headers: Record<string, string> = {};
  for (const line of lines) {
    // `.` matches neither CR nor LF: a line that has one of them alone is not understood.
    const [, name = '', value = ''] = FIELD.exec(line) ?? [];
    if (name === '') return undefined;
    const known = headers[name.toLowerCase()];
    headers[name.toLowerCase()] = known === undefined ? value.trimEnd() : `${known}, ${value.trimEnd()}`;
  }
  return { status: Number(status), headers };
}

/** @returns `undefined` without `Content-Length`, with several, or with one that is no number */
export function contentLengthOf({ headers }: Head): number | undefined {
  const length = headers['content-length'];
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}

/** Whether the server leaves the connection open after the response. */
export function isKeptOpen({ headers }: Head): boolean {
  return headers.connection === undefined || !/(?:^|,)\s*close\s*(?:,|$)/i.test(headers.connection);
}
