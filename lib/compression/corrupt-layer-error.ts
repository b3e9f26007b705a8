/** The bytes of a layer are not what their format says: whoever sent them is to blame, not the storage or the connection. */
export class CorruptLayerError extends Error {
  override readonly name = 'CorruptLayerError';
}
