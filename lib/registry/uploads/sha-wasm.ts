// Of hash-wasm what chunks need, so that a bundle has no more of it.
export { createSHA256, createSHA512 } from 'hash-wasm';
