const SECOND_MS = 1000;
export const HOUR_MS = 3600 * SECOND_MS;
export const DAY_MS = 24 * HOUR_MS;

/** Largest first. */
const UNITS_MS = { w: 7 * DAY_MS, d: DAY_MS, h: HOUR_MS, m: 60 * SECOND_MS, s: SECOND_MS } as const;

const DURATION = /^(\d{1,9})([wdhms])$/;

/**
 * Reads a duration: a whole number with a unit, `90s`, `15m`, `25h`, `3d` or `2w`.
 * @returns milliseconds; `undefined` for any other text
 */
export function parseDuration(text: string): number | undefined {
  const [, number, unit] = DURATION.exec(text) ?? [];
  return number === undefined ? undefined : Number(number) * UNITS_MS[unit as keyof typeof UNITS_MS];
}

/** The inverse of `parseDuration`, in the largest unit up to days that divides the duration: `25h`, `14d`. */
export function formatDuration(milliseconds: number): string {
  const { w, ...units } = UNITS_MS;
  const [unit, unitMs] = Object.entries(units).find(([, size]) => milliseconds > 0 && milliseconds % size === 0) ?? [
    's',
    SECOND_MS,
  ];
  return `${Math.round(milliseconds / unitMs)}${unit}`;
}
