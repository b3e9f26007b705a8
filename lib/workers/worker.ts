// A worker: one of the processes that serve the same address. The coordinator starts it, and counts for it what holds for all.
import type { News, Peers } from '../concurrency/peers.ts';
import { RegistryError } from '../model/errors.ts';
import type { Log } from '../model/log.ts';
import { type Serving, serve } from '../server/serve.ts';
import { hashByThread } from '../streams/hash-thread.ts';
import type { CoordinatorAnswers, Start, Told, WorkerAnswers } from './answers.ts';
import { Calls, type Channel } from './calls.ts';
import { RemoteLimit } from './remote-limit.ts';
import { RemoteLocks } from './remote-locks.ts';

/**
 * Serves as the coordinator says, until it says to stop. The process ends with the coordinator.
 * @param createLog makes the log of this worker once its level is known
 */
export function runWorker(channel: Channel, createLog: (start: Start) => Log): void {
  let serving: Serving | undefined;
  const listeners = new Map<keyof News, ((news: never) => void)[]>();
  const calls = new Calls<WorkerAnswers, CoordinatorAnswers>(channel, {
    async start(start) {
      const { config, version, tlsFiles, isFirst, sockets } = start;
      serving = await serve(config, {
        log: createLog(start),
        version,
        ...(tlsFiles && { tlsFiles }),
        ...hashByThread(),
        comparePassword: (password, hash) => calls.call('compare password', { password, hash }),
        worker: {
          sockets,
          isFirst,
          sharing: sharingOf(start),
          operate: (request, signal) => calls.call('operate', request, signal),
        },
      });
      return serving.url.href;
    },
    async stop() {
      await serving?.stop();
      return undefined;
    },
    ping: () => undefined,
    async 'renew certificate'() {
      await serving?.renewCertificate();
      return undefined;
    },
    'cut off slot': ({ limit, id }) => void transfers[limit].cutOff(id) as undefined,
    async operate(request, signal) {
      if (!serving?.operate) throw new RegistryError('UNAVAILABLE', 'this worker does no operations');
      return await serving.operate(request, signal);
    },
    hear({ topic, news }) {
      for (const listener of listeners.get(topic) ?? []) listener(news as never);
      return undefined;
    },
  });
  const transfers = { uploads: new RemoteLimit('uploads', calls), downloads: new RemoteLimit('downloads', calls) };
  const peers: Peers = {
    tell: (topic, news) => calls.notify('tell', { topic, news } as Told),
    hear: (topic, listener) => void listeners.set(topic, [...(listeners.get(topic) ?? []), listener]),
  };
  const sharingOf = ({ workers, passwordKey }: Start) => ({
    ...{ transfers, peers, workers, key: passwordKey, locks: new RemoteLocks(calls) },
    throttle: {
      check: (name: string | undefined, address: string | undefined) => calls.call('check login', { name, address }),
      failed: (name: string | undefined, address: string | undefined) => calls.call('login failed', { name, address }),
    },
  });
}
