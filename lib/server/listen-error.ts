/** For error codes of `listen`: the end of a message that says what to do. */
const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use: choose another by --port or REGISTRY_PORT',
  EACCES: 'is reserved for root: choose one from 1024 on by --port or REGISTRY_PORT',
  EADDRNOTAVAIL:
    'cannot be used, since this machine does not have that address: choose another by --host or REGISTRY_HOST',
};

/** macOS 12 and newer listen here themselves. https://developer.apple.com/forums/thread/682332 */
const AIRPLAY_PORT = 5000;
const AIRPLAY_HINT =
  ' (such as 5001); on macOS it is usually AirPlay Receiver that has port 5000: System Settings, General, AirDrop & Handoff switches it off';

/** A message for an error code of `listen`; `undefined` for codes without one, where the system's message is used. */
export function listenProblem(
  code: string | undefined,
  { host, port, platform = process.platform }: { host: string; port: number; platform?: NodeJS.Platform },
): string | undefined {
  const problem = LISTEN_ERRORS[code ?? ''];
  if (problem === undefined) return undefined;
  const isAirPlay = code === 'EADDRINUSE' && platform === 'darwin' && port === AIRPLAY_PORT;
  return `port ${port} of ${host} ${problem}${isAirPlay ? AIRPLAY_HINT : ''}`;
}

/** An error of `listen` or `bind` in words for the operator. */
export function listenError(error: NodeJS.ErrnoException, { host, port }: { host: string; port: number }): Error {
  const problem = listenProblem(error.code, { host, port });
  return problem ? new Error(problem) : error;
}
