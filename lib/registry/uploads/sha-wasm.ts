// Exports only what chunks need of hash-wasm, so that bundles leave out its other algorithms.
export { createSHA256, createSHA512 } from 'hash-wasm';
