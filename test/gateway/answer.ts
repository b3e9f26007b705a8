// From a Lambda's result to what the client gets.
import { MAX_RESULT_BYTES } from './limits.ts';

export type Answer = { status: number; headers: Record<string, string>; body: Buffer };

export type ResultOptions = {
  binaryMediaTypes: string[];
  /** What the client said it wants: only the first type counts. */
  accept: string | undefined;
  method: string;
};

/** A result with any other property is malformed. */
const FIELDS = new Set(['statusCode', 'headers', 'multiValueHeaders', 'body', 'isBase64Encoded']);

/**
 * Come out as `x-amzn-remapped-…`: "important notes",
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html; localstack's header_utils.py has
 * the list for proxies, which was run against AWS, without WWW-Authenticate, whose renaming many have reported, such as
 * https://github.com/LionC/express-basic-auth/issues/42
 */
const REMAPPED = new Set(['connection', 'content-length', 'date', 'server', 'www-authenticate']);
const DROPPED = new Set(['transfer-encoding']);

/** The gateway's answer to what it cannot use is 502. */
export class MalformedResult extends Error {
  override readonly name = 'MalformedResult';
}

/**
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-output-format
 * @param text the result as JSON
 * @throws MalformedResult
 */
export function answerOf(text: string, { binaryMediaTypes, accept, method }: ResultOptions): Answer {
  if (Buffer.byteLength(text) > MAX_RESULT_BYTES) throw new MalformedResult('the result is larger than 6 MB');
  const result: unknown = JSON.parse(text);
  if (typeof result !== 'object' || result === null) throw new MalformedResult('the result is no object');
  for (const name of Object.keys(result))
    if (!FIELDS.has(name)) throw new MalformedResult(`${name} is no field of a result`);
  const {
    statusCode,
    headers = {},
    multiValueHeaders = {},
    body = '',
    isBase64Encoded = false,
  } = result as Partial<Result>;
  const status = Number(statusCode);
  if (!Number.isInteger(status) || status < 100 || status > 599)
    throw new MalformedResult(`the status is ${statusCode}`);
  if (typeof body !== 'string') throw new MalformedResult('the body is no text');

  const sent: Record<string, string> = {};
  const multiple = Object.entries(multiValueHeaders).flatMap(([name, values]) =>
    values.map((value) => [name, value] as const),
  );
  for (const [name, value] of [...Object.entries(headers), ...multiple]) {
    if (typeof value !== 'string' && typeof value !== 'boolean')
      throw new MalformedResult(`${name} is ${typeof value}`);
    const lower = name.toLowerCase();
    if (DROPPED.has(lower)) continue;
    sent[REMAPPED.has(lower) ? `x-amzn-remapped-${lower}` : lower] = String(value);
  }
  // Same page as above: an answer without a type gets this one.
  sent['content-type'] ??= 'application/json';
  const bytes = decodes(sent['content-type'], accept, binaryMediaTypes) && isBase64Encoded;
  const content = Buffer.from(body, bytes ? 'base64' : 'utf8');
  // A length of its own. On HEAD that is of what it sends, which is nothing: no answer that was ever shown to us says more.
  return { status, headers: sent, body: method === 'HEAD' ? Buffer.alloc(0) : content };
}

type Result = {
  statusCode: unknown;
  headers: Record<string, unknown>;
  multiValueHeaders: Record<string, unknown[]>;
  body: unknown;
  isBase64Encoded: boolean;
};

/** https://docs.aws.amazon.com/apigateway/latest/developerguide/lambda-proxy-binary-media.html: by the first type of Accept. */
function decodes(contentType: string, accept: string | undefined, binaryMediaTypes: string[]): boolean {
  const first = accept?.split(',')[0]?.split(';')[0]?.trim();
  const type = contentType.split(';')[0]?.trim() ?? '';
  return binaryMediaTypes.some((binary) => binary === '*/*' || binary === first || (!first && binary === type));
}
