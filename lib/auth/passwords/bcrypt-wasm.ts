// Of hash-wasm what passwords need, so that a bundle has no more of it.
export { bcrypt, bcryptVerify } from 'hash-wasm';
