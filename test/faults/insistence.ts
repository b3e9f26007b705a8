// Clients that come again when they are told to, as those of registries do, and what they must be told.
import { setTimeout as sleep } from 'node:timers/promises';
import { mapConcurrently } from '../../lib/concurrency/map-concurrently.ts';
import { digestOf } from '../v2/client.ts';
import { exchange, Refusal, type Send } from './exchange.ts';
import type { Ledger } from './ledger.ts';
import type { Push } from './pushes.ts';

/** Time limit of a request, also during faults of storage. */
export const MAX_REQUEST_MS = 120_000;
const PAUSE_MS = 100;
const TIMES_AGAIN = 5;

/** How often clients were refused, by what they were told. */
export type Tally = Map<string, number>;

/** A server that was told nothing wrong must give an answer in time. */
export function withinTime(send: Send): Send {
  return (method, path, init = {}) => send(method, path, { ...init, signal: AbortSignal.timeout(MAX_REQUEST_MS) });
}

/**
 * Comes again a few times where it is told to: what the server began before all was well, like a view that it makes by
 * itself, may end badly afterwards, and with it the request that waited for it.
 */
export function comingAgain(send: Send): Send {
  return async (method, path, init) => {
    for (let left = TIMES_AGAIN; left > 0; left--) {
      const answer = await send(method, path, init);
      if (answer.status !== 503) return answer;
      await answer.body?.cancel();
      await sleep(PAUSE_MS);
    }
    return await send(method, path, init);
  };
}

/** Runs a push again and again until it is acknowledged. @throws what is no reason to come again */
export async function insist(push: Push, send: Send, ledger: Ledger, tally: Tally): Promise<void> {
  for (;;) {
    try {
      return await push.run(send, ledger);
    } catch (error) {
      if (!(error instanceof Refusal)) throw new Error('a push got no answer', { cause: error });
      count(tally, reasonToComeAgain(error));
      await sleep(PAUSE_MS);
    }
  }
}

/** Pulls an image until it is there, to the last byte. @throws what is no reason to come again, and for wrong bytes */
export async function pull(repository: string, reference: string, send: Send, tally: Tally): Promise<void> {
  const manifest = await read(`/v2/${repository}/manifests/${reference}`, send, tally);
  if (reference.includes(':') && digestOf(manifest) !== reference) throw new Error(`${reference} is another manifest`);
  const { config, layers } = JSON.parse(manifest.toString()) as Record<'config', Blob> & Record<'layers', Blob[]>;
  await mapConcurrently([config, ...layers], async ({ digest }) => {
    const bytes = await read(`/v2/${repository}/blobs/${digest}`, send, tally);
    if (digestOf(bytes) !== digest) throw new Error(`${digest} came as ${bytes.length} bytes of ${digestOf(bytes)}`);
  });
}

type Blob = { digest: string };

/** A download may break off, as long as it does not look whole. */
export async function read(path: string, send: Send, tally: Tally): Promise<Buffer> {
  for (;;) {
    try {
      return (await exchange(send, [200], 'GET', path)).body;
    } catch (error) {
      if (error instanceof Refusal) count(tally, reasonToComeAgain(error));
      else if (error instanceof TypeError && error.message === 'terminated') count(tally, 'a download that broke off');
      else throw new Error(`GET ${path} got no answer`, { cause: error });
      await sleep(PAUSE_MS);
    }
  }
}

function count(tally: Tally, reason: string): void {
  tally.set(reason, (tally.get(reason) ?? 0) + 1);
}

type V1Error = { error: string };
type V2Error = { errors: { code: string; message: string }[] };

/**
 * What the client was told, if that makes it come again.
 * @throws the refusal, if it does not, or tells more than it should
 */
function reasonToComeAgain(refusal: Refusal): string {
  const { status, headers, body } = refusal.answer;
  const text = body.toString();
  const isJson = headers.get('Content-Type')?.startsWith('application/json');
  if (!isJson || /\bat .*:\d+|node_modules|oci\/|images\/|repositories\//.test(text)) throw refusal;
  const said = JSON.parse(text) as V1Error | V2Error;
  const reason = 'error' in said ? said.error : said.errors.map(({ code }) => code).join();
  const isToldWhen = Number(headers.get('Retry-After')) > 0;
  const isUnavailable = status === 503 && isToldWhen && ('error' in said || reason === 'UNAVAILABLE');
  // Parts that storage has lost: the client sends the blob again.
  const isUploadGone = status === 404 && reason === 'BLOB_UPLOAD_UNKNOWN';
  if (!isUnavailable && !isUploadGone) throw refusal;
  return `${status} ${reason}`;
}
