// From the result of a Lambda function, in the payload format 2.0, to what a client of an HTTP API gets.
import { isJsonObject, type JsonValue } from '../../lib/model/json.ts';
import { MAX_RESULT_BYTES } from './limits.ts';

export type HttpAnswer = { status: number; headers: Record<string, string>; cookies: string[]; body: Buffer };

/**
 * Come out as `x-amzn-remapped-…`, as those of a REST API. For HTTP APIs no page says so, and one project has seen it: the worse case
 * is assumed.
 */
const REMAPPED = new Set(['connection', 'content-length', 'date', 'server', 'www-authenticate']);

/** An answer of the gateway itself, which nothing in a template changes. */
export function messageAnswer(status: number, message: string): HttpAnswer {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    cookies: [],
    body: Buffer.from(JSON.stringify({ message })),
  };
}

/**
 * Lambda refuses a result of more than 6 MB, and the gateway answers 500 to what it cannot use.
 * https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html,
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html
 * @param text the result as JSON
 */
export function httpAnswerOf(text: string, method: string): HttpAnswer {
  const result = Buffer.byteLength(text) > MAX_RESULT_BYTES ? undefined : (JSON.parse(text) as JsonValue);
  if (result === undefined) return messageAnswer(500, 'Internal Server Error');
  // "If your Lambda function returns valid JSON and doesn't return a statusCode", all of it is the body.
  if (!isJsonObject(result) || result.statusCode === undefined) {
    return { status: 200, headers: { 'content-type': 'application/json' }, cookies: [], body: Buffer.from(text) };
  }
  const { statusCode, headers = {}, cookies = [], body = '', isBase64Encoded = false } = result;
  const status = Number(statusCode);
  const isUsable =
    Number.isInteger(status) && isJsonObject(headers) && Array.isArray(cookies) && typeof body === 'string';
  if (!isUsable) return messageAnswer(500, 'Internal Server Error');
  const sent: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (lower !== 'transfer-encoding') sent[REMAPPED.has(lower) ? `x-amzn-remapped-${lower}` : lower] = String(value);
  }
  sent['content-type'] ??= 'text/plain;charset=UTF-8';
  const content = Buffer.from(body, isBase64Encoded === true ? 'base64' : 'utf8');
  return { status, headers: sent, cookies: cookies.map(String), body: method === 'HEAD' ? Buffer.alloc(0) : content };
}
