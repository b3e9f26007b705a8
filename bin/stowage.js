#!/usr/bin/env -S MALLOC_MMAP_THRESHOLD_=1048576 node --max-semi-space-size=2
// The command `stowage`. The option bounds V8's young generation, in MiB: request bodies are buffers outside of V8's heap, freed when
// V8 collects their small handles, and a small young generation is collected more often. That saves 40 MiB during the push of a
// large layer, at no measurable cost. The variable makes glibc return the memory of parts to the system: see tools/node/run.js.
//
// Node 12 must be able to parse this file, so that a Node too old for Stowage gets an error that names the versions.

/** The versions that the package needs, as `engines` in package.json. A clone only has to start the Node in its node_modules. */
const PACKAGE_NODES = [
  [22, 15],
  [23, 8],
];
const CLONE_NODES = [[18, 0]];

// biome-ignore lint/style/useNodejsImportProtocol: Node 12 does not know `node:`
void import('fs').then(({ existsSync }) => {
  const nodes = existsSync(new URL('../lib/commands/cli.ts', import.meta.url)) ? CLONE_NODES : PACKAGE_NODES;
  const [major, minor] = process.versions.node.split('.').map(Number);
  const newest = nodes[nodes.length - 1];
  const isNewEnough = major > newest[0] || nodes.some((node) => major === node[0] && minor >= node[1]);
  if (isNewEnough) return import('./start.js');
  const names = nodes.map((node) => node.join('.'));
  console.error(`stowage: needs Node ${names.join(', ')} or newer; this is ${process.versions.node}`);
  process.exitCode = 1;
});
