/** The format of a layer. Docker sends gzip; other tools sent all of these. */
export type LayerFormat = 'empty' | 'tar' | 'gzip' | 'bzip2' | 'xz' | 'zstd' | 'unknown';
