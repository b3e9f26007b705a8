import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toolsDirectory } from '../e2e/programs.ts';
import { answers, ServerProcess } from '../e2e/server-process.ts';
import { freePort } from '../support/free-port.ts';

/** https://github.com/Shopify/toxiproxy/tree/v2.12.0#toxics */
export type Toxic = {
  type: 'latency' | 'bandwidth' | 'slow_close' | 'timeout' | 'reset_peer' | 'slicer' | 'limit_data';
  /** To S3, or from it. */
  stream: 'upstream' | 'downstream';
  /** How many of the connections suffer, from 0 to 1. */
  toxicity: number;
  /** Milliseconds, KB/s, bytes. */
  attributes: Readonly<Record<string, number>>;
};

/** A network that can be made bad. */
export type Toxiproxy = {
  port: number;
  add(toxic: Toxic): Promise<void>;
  /** Takes no connections, and breaks those there are. */
  disconnect(): Promise<void>;
  /** All is well again. */
  heal(): Promise<void>;
  stop(): Promise<void>;
};

const PROXY = 'storage';

export async function startToxiproxy(upstream: string): Promise<Toxiproxy> {
  const command = join(toolsDirectory, 'bin/toxiproxy');
  if (!existsSync(command)) throw new Error(`toxiproxy is not at ${command}: run .ci/install-tools`);
  const directory = await mkdtemp(join(tmpdir(), 'toxiproxy-'));
  const [apiPort, port] = [await freePort(), await freePort()];
  const api = `http://127.0.0.1:${apiPort}`;
  const server = await ServerProcess.start({
    command,
    args: ['-host', '127.0.0.1', '-port', String(apiPort)],
    env: { LOG_LEVEL: 'error' },
    log: join(directory, 'toxiproxy.log'),
    isReady: () => answers(`${api}/version`),
  });

  const call = async (method: string, path: string, body?: object) => {
    const response = await fetch(`${api}${path}`, { method, ...(body && { body: JSON.stringify(body) }) });
    if (!response.ok) throw new Error(`toxiproxy: ${response.status} of ${method} ${path}: ${await response.text()}`);
    await response.arrayBuffer();
  };
  await call('POST', '/proxies', { name: PROXY, listen: `127.0.0.1:${port}`, upstream, enabled: true });
  let added = 0;
  return {
    port,
    add: (toxic) => call('POST', `/proxies/${PROXY}/toxics`, { name: `toxic-${++added}`, ...toxic }),
    disconnect: () => call('POST', `/proxies/${PROXY}`, { enabled: false }),
    heal: () => call('POST', '/reset'),
    async stop() {
      await server.stop();
      await rm(directory, { recursive: true });
    },
  };
}
