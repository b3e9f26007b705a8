// One listening socket for all workers. Each worker inherits it several times, as file descriptors of its own. Node accepts one
// connection from a descriptor in each turn of its event loop, so a worker with eight of them accepts up to eight in a turn.
//
// The socket belongs to the coordinator, which never accepts from it: it stays open while workers are restarted, and connections
// wait in its queue until a worker is free. A worker that hangs accepts none.
import { lookup } from 'node:dns/promises';
import net from 'node:net';
import { getSystemErrorName } from 'node:util';
import { listenError } from '../server/listen-error.ts';

export type ListeningSocket = {
  /** The descriptor, in this process. */
  fd: number;
  close(): void;
};

type Handle = { fd: number; close(): void };

/** What `node:cluster` makes its shared sockets with: binds, and leaves listening to the workers. */
type CreateServerHandle = (address: string, port: number, family: number) => Handle | number;

/** @throws Error if the address cannot be used. That a port is in use shows when the first worker listens, on some systems */
export async function bindSocket({ host, port }: { host: string; port: number }): Promise<ListeningSocket> {
  const create = (net as unknown as { _createServerHandle?: CreateServerHandle })._createServerHandle;
  if (!create) throw new Error('this version of Node cannot share a socket between processes: use --workers 1');
  const { address, family } = await lookup(host);
  const handle = create(address, port, family);
  if (typeof handle === 'number') {
    const code = getSystemErrorName(handle);
    throw listenError(Object.assign(new Error(code), { code }), { host, port });
  }
  return { fd: handle.fd, close: () => handle.close() };
}
