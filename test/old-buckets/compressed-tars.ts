// Two layers of 13.10, compressed by `bzip2 -9` (1.0.8) and `xz -6` (5.4.1) of Debian 12, since Node has neither compressor.

/** `sha256` is that of the tar, to detect a change of the layer. */
export type CompressedTar = { sha256: string; base64: string };

export const BZIP2_LAYER: CompressedTar = {
  sha256: 'e336dffbcf8d4ef90a7368e456e663529c0d9bb3c3fb21cccc5cb685ddc5c377',
  base64:
    'QlpoOTFBWSZTWU5JnPIAADnfgMiAQAH/gAACgBF0596ACIggAJKGqbCjQAANANGgVRQRpoA0GgAPU4sjRdMlCbQabNGvyV1WLxnF0XBISUpHV1763vCZjBfEQvJRBjj0sDpbUTjIvJxggwG7EKJwzJY2hpA1JDQgB7EKrXiAgiP91squx9Wn7KUhzUoZ2ofxdyRThQkE5JnPIA==',
};

export const XZ_LAYER: CompressedTar = {
  sha256: 'ed8e49648714c6b539d33cbfd6a8bc4e6902eb8c894a9a26aa44ed35b424d7ef',
  base64:
    '/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4Av/AJBdADKdCIYQ5JSzSsi80f5CS2Je1+T3bDz81aMud12ZCxwQyUA3PBAD5HlFGHcOR7tsysttj1W0ZsYTYT1qj9KzkR7tZYD/l6xrPjVnPcfH6bteqZILwL05pVfa150Zo7bU10r6NuR/ha/4uRavBYHx5DATf4Y40E5gdrssZmDbGZc6NKnP85qpFTisJQkLNa/tAABFUf+3KEuLCAABrAGAGAAAC2iHb7HEZ/sCAAAAAARZWg==',
};
