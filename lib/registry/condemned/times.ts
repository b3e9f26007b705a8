const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** The times by which writers and collectors rely on each other, in milliseconds. Tests scale all of them alike. */
export type CollectionTimes = {
  /** The grace period: how long a thing is condemned before a collector may remove it. More than an upload session lives. */
  graceMs: number;
  /** How long a look stays valid. S3 executes no request later than this after its signature. */
  lookMs: number;
  /** The collector leaves younger bytes alone: an upload session links its own bytes for a day without a look. */
  minAgeMs: number;
  /** How long a program of an older layout may go on to write after it was shut out: an upload session lives for a day. */
  oldWritersMs: number;
};

/** The shortest grace period that may be configured. */
export const MIN_GRACE_MS = 25 * HOUR;

export const COLLECTION_TIMES: CollectionTimes = {
  graceMs: 72 * HOUR,
  lookMs: 15 * MINUTE,
  minAgeMs: 48 * HOUR,
  oldWritersMs: 25 * HOUR,
};
