import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { Bytes } from '../../streams/bytes.ts';
import { SCRIPT } from './script.ts';
import { STYLE } from './style.ts';

/** `compressed`: the body by gzip. */
export type Asset = { path: string; contentType: string; body: string; compressed: Bytes };

/** The files that pages load. Each path has a hash of the content, so browsers may keep them for ever. */
export const ASSETS = {
  style: assetOf('style', 'css', 'text/css; charset=utf-8', STYLE),
  script: assetOf('script', 'js', 'text/javascript; charset=utf-8', SCRIPT),
} as const satisfies Record<string, Asset>;

function assetOf(name: string, extension: string, contentType: string, body: string): Asset {
  const hash = createHash('sha256').update(body).digest('hex').slice(0, 12);
  return { path: `/ui/${name}-${hash}.${extension}`, contentType, body, compressed: Uint8Array.from(gzipSync(body)) };
}
