// Exports only what passwords need of hash-wasm, so that bundles leave out its other algorithms.
export { bcrypt, bcryptVerify } from 'hash-wasm';
