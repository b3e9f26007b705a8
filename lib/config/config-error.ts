/** The configuration cannot be used. The message is one line for the operator: where, which key, what is wrong, what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}
