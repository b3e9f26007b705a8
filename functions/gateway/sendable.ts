/** `Headers` throws for these. */
const UNSENDABLE = /[\0\r\n]|[^\0-\xff]/;

/** Whether a request can have this value in a header. Events are JSON: the text of one that a client has sent as UTF-8 may not fit. */
export function isSendable(value: string): boolean {
  return !UNSENDABLE.test(value);
}
