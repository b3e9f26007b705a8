import { readFileSync } from 'node:fs';

/** Of this package, as `package.json` has it: found from the source and from what `tsc` makes of it. */
export const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
