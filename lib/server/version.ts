import { readFileSync } from 'node:fs';

/** Of this package, from its `package.json`: found from the source and from what `tsc` makes of it. */
export const { version, engines } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as {
  version: string;
  engines: { node: string };
};
