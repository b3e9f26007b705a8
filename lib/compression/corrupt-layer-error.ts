/** The bytes of a layer are not valid in their format: an error of the client that sent them, not of storage or the connection. */
export class CorruptLayerError extends Error {
  override readonly name = 'CorruptLayerError';
}
