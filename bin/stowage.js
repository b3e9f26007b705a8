#!/usr/bin/env -S node --max-semi-space-size=2
// Most of what passes through the command are buffers outside of V8's heap: a small young generation, in MiB, makes V8 collect
// them sooner, which saves 40 MiB while a large layer is pushed and costs nothing that could be measured.
import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

// In a clone the source itself, which the Node in its node_modules can run; in the package what was built of it.
const source = new URL('../lib/commands/cli.ts', import.meta.url);
const runsSource = existsSync(source) && process.features.typescript;
// What turns TypeScript into JavaScript takes 27 MiB for as long as the process lives; of what it has made once it is not loaded.
if (runsSource) enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/stowage', import.meta.url)));
await import(runsSource ? source.href : new URL('../dist/commands/cli.js', import.meta.url).href);
