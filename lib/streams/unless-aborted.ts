/**
 * Runs `task`, and fails with the signal's reason as soon as it aborts; if it has aborted already, `task` does not run.
 *
 * Each call adds a listener of its own. `Promise.race` with one promise for all chunks of a stream would keep every chunk in
 * memory until the stream ends.
 */
export async function unlessAborted<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return await task();
  signal.throwIfAborted();
  return await new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    task()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}
