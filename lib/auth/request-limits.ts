// Applies the limits of the process to requests: each caller has a share of the uploads, downloads and memory.
import type { Context, MiddlewareHandler } from 'hono';
import type { ClientBindings } from '../http/client-address.ts';
import { hasBody, holdMemory, holdUploadSlot } from '../http/request.ts';
import { BodyMemory } from '../limits/body-memory.ts';
import { ConcurrencyLimit, type TransferLimit } from '../limits/concurrency-limit.ts';
import type { Slot } from '../limits/slot.ts';
import { sending } from '../limits/transfers.ts';
import { type Bytes, KiB, readAll } from '../streams/bytes.ts';
import { isAnonymous } from './callers/caller.ts';
import { accountOf, callerOf } from './request-caller.ts';

/** Fits into the buffers of a connection, so sending it holds nothing in this process. */
export const SMALL_DOWNLOAD_BYTES = 64 * KiB;

export type RequestLimitsOptions = {
  /** Default: any number at once. */
  uploads?: TransferLimit;
  /** Default: any number at once. */
  downloads?: TransferLimit;
  /** For bodies that are held in memory. */
  bodies?: BodyMemory;
  /** Whether callers can log in. Anonymous callers then share a part of the memory. Default false. */
  hasLogins?: boolean;
};

export class RequestLimits {
  readonly #uploads: TransferLimit;
  readonly #downloads: TransferLimit;
  readonly #bodies: BodyMemory;
  readonly #hasLogins: boolean;

  constructor({
    uploads = new ConcurrencyLimit({ what: 'uploads' }),
    downloads = new ConcurrencyLimit({ what: 'downloads' }),
    bodies = new BodyMemory(),
    hasLogins = false,
  }: RequestLimitsOptions = {}) {
    this.#uploads = uploads;
    this.#downloads = downloads;
    this.#bodies = bodies;
    this.#hasLogins = hasLogins;
  }

  /**
   * A request with a body waits for an upload slot and holds it until it is answered.
   * @param nameOf the caller's name, where the request does not carry the caller's login
   */
  limitUploads(nameOf: (c: Context) => string | undefined = () => undefined): MiddlewareHandler {
    return async (c, next) => {
      if (!hasBody(c)) return await next();
      const run = async (slot: Slot) => {
        holdUploadSlot(c, slot);
        await next();
      };
      await this.#uploads.run(nameOf(c) ?? accountOf(c), run, c.req.raw.signal);
    };
  }

  /** Counts what a request reads into memory until it is answered. */
  readonly limitMemory: MiddlewareHandler = async (c, next) => {
    if (!hasBody(c)) return await next();
    const holder = { caller: accountOf(c), isUnknown: this.#hasLogins && isAnonymous(callerOf(c)) };
    const memory = this.#bodies.open(holder, c.req.raw.signal);
    holdMemory(c, memory);
    try {
      await next();
    } finally {
      memory.release();
    }
  };

  /**
   * Opens a body for sending. A small one is read at once. A larger one waits for a download slot and holds it until the
   * client has taken the last byte. For HEAD nothing is opened: the router drops the body of such an answer without closing it, so a
   * slot would never be released.
   * @throws RegistryError TOOMANYREQUESTS, UNAVAILABLE
   */
  async download(
    c: Context,
    sizeBytes: number,
    open: () => Promise<ReadableStream<Uint8Array>>,
  ): Promise<Bytes | ReadableStream<Uint8Array>> {
    if (c.req.method === 'HEAD') return new Uint8Array();
    if (sizeBytes <= SMALL_DOWNLOAD_BYTES) return await readAll(await open());
    const clientGone = c.req.raw.signal;
    const slot = await this.#downloads.acquire(accountOf(c), clientGone);
    try {
      const { disconnect } = (c.env ?? {}) as ClientBindings;
      return sending(await open(), slot, { clientGone, disconnect });
    } catch (error) {
      slot.release();
      throw error;
    }
  }
}
