// The load client for fresh connections, a process of its own: `node bench/fresh-connections.ts '<json>'`. In each round it opens
// all connections at the same moment, each for one request, on plain sockets, which take little of its own CPU.
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export type FreshTask = { url: string; path: string; accept: string; connections: number; rounds: number };
/** `milliseconds`: of each request, from the moment at which its connection is opened to the first bytes of its answer. */
export type FreshResult = { seconds: number; milliseconds: number[] };

/** For both sides to close the connections of a round. */
const BETWEEN_ROUNDS_MS = 50;

process.stdout.write(JSON.stringify(await run(JSON.parse(process.argv[2] ?? '') as FreshTask)));

async function run({ url, path, accept, connections, rounds }: FreshTask): Promise<FreshResult> {
  const { hostname, port, host } = new URL(url);
  const head = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAccept: ${accept}\r\n\r\n`;
  const milliseconds: number[] = [];
  let seconds = 0;
  for (let round = 1; round <= rounds; round++) {
    const started = performance.now();
    const answers = Array.from({ length: connections }, () => askOnce({ host: hostname, port: Number(port) }, head));
    milliseconds.push(...(await Promise.all(answers)));
    seconds += (performance.now() - started) / 1000;
    await sleep(BETWEEN_ROUNDS_MS);
  }
  return { seconds, milliseconds };
}

async function askOnce(address: { host: string; port: number }, head: string): Promise<number> {
  const started = performance.now();
  const socket = connect(address);
  socket.write(head);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  const took = performance.now() - started;
  socket.destroy();
  const [statusLine = ''] = answer.toString('latin1').split('\r\n');
  if (!/^HTTP\/1\.1 200\b/.test(statusLine)) throw new Error(`GET over a fresh connection: ${statusLine}`);
  return took;
}
