import { after } from 'node:test';

type End = () => unknown;

/** Called in a suite: what is given to the function is ended after the suite, the last first, even if `before` got stuck. */
export function useCleanup(): (end: End) => void {
  const ends: End[] = [];
  after(async () => {
    for (const end of ends.reverse()) await end();
  });
  return (end) => ends.push(end);
}
