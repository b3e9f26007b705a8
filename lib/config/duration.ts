import { formatDuration, parseDuration } from '../model/duration.ts';
import { text, type ValueType } from './value-types.ts';

/** A duration in milliseconds: `90s`, `15m`, `25h`, `3d` or `2w`. @param leastMs the shortest one that is allowed */
export function duration(leastMs = 0): ValueType<number> {
  return {
    allowed: `a duration such as 90s, 15m, 25h, 3d or 2w${leastMs > 0 ? `, at least ${formatDuration(leastMs)}` : ''}`,
    parse(node) {
      const written = text.parse(node);
      if (typeof written !== 'string') return written;
      const milliseconds = parseDuration(written);
      return milliseconds !== undefined && milliseconds >= leastMs ? milliseconds : undefined;
    },
    format: formatDuration,
  };
}
