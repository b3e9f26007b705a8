/** `structure`: listings. `manifests`: also reads and hashes each manifest. `bytes`: also hashes all bytes. */
export const LEVELS = ['structure', 'manifests', 'bytes'] as const;
export type FsckLevel = (typeof LEVELS)[number];
