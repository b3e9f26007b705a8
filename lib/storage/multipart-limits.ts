import { MiB } from '../streams/bytes.ts';

/** Parts of one multipart upload. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
export const MAX_PARTS = 10_000;

/** The smallest part; the last one may be smaller. Same page. */
export const MIN_PART_BYTES = 5 * MiB;

/**
 * The parts that this program makes. 100 MiB are nine of them, which the budget of storage requests allows, and 10,000 are
 * 117 GiB. An upload holds two parts in memory, sent or gathered: 24 MiB.
 */
export const PART_BYTES = 12 * MiB;
