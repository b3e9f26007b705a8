/** Python's names, as `loglevel` in the configuration has them. */
export type LogLevel = 'debug' | 'info' | 'warning' | 'error' | 'critical';

export type LogFields = Record<string, unknown>;

/** One JSON object per line. Never hand it a query, a header with credentials, or a presigned URL. */
export type Log = Record<LogLevel, (message: string, fields?: LogFields) => void> & {
  /** What somebody did, or was refused: written whatever the level is. */
  audit(entry: LogFields): void;
};

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warning: 2, error: 3, critical: 4 };

export function createLog(lowest: LogLevel, write = (line: string) => process.stdout.write(line)): Log {
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}) => {
      if (RANK[level] >= RANK[lowest]) writeLine({ level, message, ...fields });
    };
  const writeLine = (fields: LogFields) => {
    const entry = { time: new Date().toISOString(), ...fields };
    write(`${JSON.stringify(entry, (_, value) => (value instanceof Error ? describeError(value) : value))}\n`);
  };
  return {
    audit: (entry) => writeLine({ level: 'audit', message: 'audit', ...entry }),
    debug: at('debug'),
    info: at('info'),
    warning: at('warning'),
    error: at('error'),
    critical: at('critical'),
  };
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
