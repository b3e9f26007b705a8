/** The configuration is not valid. The message is one line for the operator: position, key, problem, allowed values. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}
