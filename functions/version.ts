// For bundles, in place of lib/server/version.ts.
import manifest from '../package.json' with { type: 'json' };

export const { version } = manifest;
