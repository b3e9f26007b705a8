/** Python's names, which `loglevel` in the configuration uses. */
export type LogLevel = 'debug' | 'info' | 'warning' | 'error' | 'critical';

export type LogFields = Record<string, unknown>;

/** One JSON object per line. Fields never contain a query, a header with credentials, or a presigned URL. */
export type Log = Record<LogLevel, (message: string, fields?: LogFields) => void> & {
  /** An entry of the audit log: a line with the message `audit` at every level. */
  audit(entry: LogFields): void;
};

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warning: 2, error: 3, critical: 4 };

/**
 * Values of `level` by which Lambda filters lines of JSON; it reads the time from `timestamp`.
 * https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
 */
const WRITTEN_LEVEL: Record<LogLevel, string> = {
  debug: 'debug',
  info: 'info',
  warning: 'warn',
  error: 'error',
  critical: 'fatal',
};

export function createLog(lowest: LogLevel, write = (line: string) => process.stdout.write(line)): Log {
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}) => {
      if (RANK[level] >= RANK[lowest]) writeLine({ level: WRITTEN_LEVEL[level], message, ...fields });
    };
  const writeLine = (fields: LogFields) => {
    const entry = { timestamp: new Date().toISOString(), ...fields };
    // A replacer is called for each value, which triples the cost of the line of a request.
    const mayHoldErrors = Object.values(fields).some((value) => typeof value === 'object');
    write(`${mayHoldErrors ? JSON.stringify(entry, replaceErrors) : JSON.stringify(entry)}\n`);
  };
  return {
    audit: (entry) => writeLine({ level: 'info', message: 'audit', ...entry }),
    debug: at('debug'),
    info: at('info'),
    warning: at('warning'),
    error: at('error'),
    critical: at('critical'),
  };
}

function replaceErrors(_: string, value: unknown): unknown {
  return value instanceof Error ? describeError(value) : value;
}

function describeError(error: Error): LogFields {
  const { name, message, stack, cause } = error;
  return {
    name,
    message,
    stack: stack
      ?.split('\n')
      .slice(1)
      .map((line) => line.trim()),
    cause,
  };
}
