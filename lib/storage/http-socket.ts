import { connect, isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

export type SocketOptions = {
  /** Where the next bytes go. TLS goes on handing out what it has decrypted, for ever if there is no room for it. */
  buffer: () => Buffer;
  /** Takes what has arrived: so many bytes, at the beginning of what `buffer` has returned. */
  onBytes: (sizeBytes: number) => void;
  /** A session of TLS with the same server, which it may resume. */
  session?: Buffer | undefined;
  /** Other than that of the system in tests only. */
  lookup?: LookupFunction | undefined;
};

/** A connection to the server of a URL, whose bytes arrive in the caller's buffers. What is written waits until it is made. */
export function openSocket(url: URL, { buffer, onBytes, session, lookup }: SocketOptions): Socket {
  const onread = {
    buffer,
    callback: (sizeBytes: number) => {
      onBytes(sizeBytes);
      return true;
    },
  };
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const to = { host, port: Number(url.port || DEFAULT_PORTS[url.protocol]), onread, ...(lookup && { lookup }) };
  const socket =
    url.protocol === 'https:'
      ? connectTls({ ...to, ...(isIP(host) === 0 && { servername: host }), ...(session && { session }) })
      : connect(to);
  return socket.setNoDelay();
}
