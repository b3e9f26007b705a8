const UNITS = {
  TiB: 2 ** 40,
  TB: 1e12,
  GiB: 2 ** 30,
  GB: 1e9,
  MiB: 2 ** 20,
  MB: 1e6,
  KiB: 2 ** 10,
  KB: 1e3,
} as const;

const SIZE = /^(\d{1,15}(?:\.\d{1,3})?)(?:([KMGT]i?B)|B)?$/;

/**
 * Reads a size: a number with a unit, `500MB`, `50GiB`, `1.5TiB`, or of bytes without one.
 * @returns bytes; `undefined` for any other text, and for part of a byte
 */
export function parseSize(text: string): number | undefined {
  const [, number, unit] = SIZE.exec(text) ?? [];
  if (number === undefined) return undefined;
  const bytes = Number(number) * (unit === undefined ? 1 : UNITS[unit as keyof typeof UNITS]);
  const whole = Math.round(bytes);
  // A fraction such as 0.1KB is binary in between: 100.00000000000001.
  return Number.isSafeInteger(whole) && Math.abs(whole - bytes) < 0.001 ? whole : undefined;
}

/** The inverse of `parseSize`, in the largest unit that divides the size: `50GiB`, `500MB`, `1001`. */
export function formatSize(bytes: number): string {
  const [unit, unitBytes] = Object.entries(UNITS).find(([, size]) => bytes > 0 && bytes % size === 0) ?? ['', 1];
  return `${bytes / unitBytes}${unit}`;
}

const TEXT_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** A size for people, with units of powers of 1,024, rounded to one digit after the point: `41.3 GiB`. */
export function sizeText(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= (unit === 0 ? 1024 : 1023.95) && unit < TEXT_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${TEXT_UNITS[unit]}`;
}
