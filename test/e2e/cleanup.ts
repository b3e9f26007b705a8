import { after } from 'node:test';

type End = () => unknown;

/**
 * Called in a suite, or for one test with that test's own `after`: what is given to the function is ended afterwards, the
 * last first and all of it, however far things got.
 */
export function useCleanup(register: (run: () => Promise<void>) => void = after): (end: End) => void {
  const ends: End[] = [];
  register(async () => {
    const errors: unknown[] = [];
    for (const end of ends.reverse()) {
      try {
        await end();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, `the end was not clean: ${errors.map(String).join('; ')}`);
  });
  return (end) => ends.push(end);
}
