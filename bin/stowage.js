#!/usr/bin/env -S node --max-semi-space-size=2
// The command `stowage`. Most of what passes through it are buffers outside of V8's heap: a small young generation, in MiB, makes
// V8 collect them sooner, which saves 40 MiB while a large layer is pushed and costs nothing that could be measured.
//
// Node 12 must be able to parse this file, so that an older Node than Stowage needs says so.

/** The Node that the package needs, as `engines` in package.json; a clone only starts the Node in its node_modules. */
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
