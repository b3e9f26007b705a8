// Values as people read them. The exact value belongs into the title of the element.
import { KiB } from '../../streams/bytes.ts';

/** Longer texts are cut on a page: the whole is one request away, by the registry's API. */
const MAX_TEXT_CHARACTERS = 4 * KiB;

/** `212,448,120 bytes` */
export function exactBytes(bytes: number): string {
  return `${countText(bytes)} ${bytes === 1 ? 'byte' : 'bytes'}`;
}

/** `1,318` */
export function countText(count: number): string {
  return count.toLocaleString('en-US');
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Each unit is used up to this age. */
const AGES: readonly [limitMs: number, unitMs: number, unit: Intl.RelativeTimeFormatUnit][] = [
  [HOUR, MINUTE, 'minute'],
  [DAY, HOUR, 'hour'],
  [14 * DAY, DAY, 'day'],
  [60 * DAY, 7 * DAY, 'week'],
  [730 * DAY, 30.44 * DAY, 'month'],
  [Number.POSITIVE_INFINITY, 365.25 * DAY, 'year'],
];

const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

/** `2 hours ago`, `yesterday`; `just now` below a minute, and for times that another clock puts into the future. */
export function agoText(at: Date, now: Date): string {
  const ageMs = now.getTime() - at.getTime();
  if (ageMs < MINUTE) return 'just now';
  const [, unitMs, unit] = AGES.find(([limitMs]) => ageMs < limitMs) ?? [0, DAY, 'day'];
  return RELATIVE.format(-Math.floor(ageMs / unitMs), unit);
}

/** `2026-11-27 09:12:44 UTC` */
export function exactTime(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** The algorithm and the first 12 digits: `sha256:8aedcdadf14b`. */
export function shortDigest(digest: string): string {
  const [algorithm = '', hex = ''] = digest.split(':');
  return `${algorithm}:${hex.slice(0, 12)}`;
}

/** The text, or the beginning of a long one. */
export function cut(text: string, maxCharacters = MAX_TEXT_CHARACTERS): string {
  return text.length > maxCharacters ? `${text.slice(0, maxCharacters)} …` : text;
}
