import { ConcurrencyLimit, type ConcurrencyLimitOptions, type TransferLimit } from '../limits/concurrency-limit.ts';
import type { Log } from '../model/log.ts';

/** How many uploads of one caller a server runs at once. Docker sends 5. */
export const MAX_UPLOADS_PER_CALLER = 64;

export type TransferSettings = {
  /** How many uploads a server runs at once; further ones wait. */
  uploadsAtOnce: number;
  /** How many downloads a server runs at once; further ones wait. */
  downloadsAtOnce: number;
};

/** How many transfers run at once. */
export type TransferLimits = { uploads: TransferLimit; downloads: TransferLimit };

/** The limits of one server. */
export function createTransferLimits(
  { auth, uploadsAtOnce, downloadsAtOnce }: TransferSettings & { auth?: object | undefined },
  log: Log,
): TransferLimits {
  return {
    uploads: new ConcurrencyLimit({
      what: 'uploads',
      atOnce: uploadsAtOnce,
      // An anonymous caller is known by its address, which many clients may share.
      ...(auth && { perCaller: MAX_UPLOADS_PER_CALLER }),
      ...loggingTo(log, 'cut off a stalled upload'),
    }),
    downloads: new ConcurrencyLimit({
      what: 'downloads',
      atOnce: downloadsAtOnce,
      ...loggingTo(log, 'cut off a stalled download'),
    }),
  };
}

function loggingTo(log: Log, message: string): Pick<ConcurrencyLimitOptions, 'onCutOff'> {
  return { onCutOff: ({ caller, bytes }) => log.info(message, { caller, bytes }) };
}
