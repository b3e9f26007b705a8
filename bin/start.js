// Starts the command: a clone runs the TypeScript source, the package its build.
import { existsSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const source = new URL('../lib/commands/cli.ts', import.meta.url);
if (!existsSync(source)) {
  await import(new URL('../dist/commands/cli.js', import.meta.url).href);
} else if (process.features.typescript) {
  // Node's TypeScript compiler keeps 27 MiB for the lifetime of the process; it is not loaded for modules in the cache.
  module.enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/stowage', import.meta.url)));
  await import(source.href);
} else {
  const { runNode } = await import(new URL('../tools/node/run.js', import.meta.url).href);
  // The first option prevents an endless loop if NODE_OPTIONS switches TypeScript off.
  const options = ['--experimental-strip-types', '--max-semi-space-size=2'];
  runNode([...options, fileURLToPath(new URL('stowage.js', import.meta.url)), ...process.argv.slice(2)]);
}
