import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { V1Image } from '../support/v1-client.ts';
import { toolsDirectory } from './programs.ts';

type Callback<Value> = (error: Error | null, value: Value) => void;

/** What we use of https://www.npmjs.com/package/docker-registry-client. */
interface Client {
  getImgId(options: { tag: string }, callback: Callback<string>): void;
  getImgAncestry(options: { imgId: string }, callback: Callback<string[]>): void;
  getImgJson(options: { imgId: string }, callback: Callback<unknown>): void;
  getImgLayerStream(options: { imgId: string }, callback: Callback<Readable>): void;
  close(): void;
}

/** Pulls over v1 with a client of another project: the ancestry, base first, each with its parsed JSON. */
export async function pullByDockerRegistryClient(
  host: string,
  repository: string,
  tag: string,
  login: { username?: string; password?: string } = {},
) {
  const client = createClient({ name: `${host}/${repository}`, scheme: 'http', ...login });
  try {
    const imgId = await promised<string>((callback) => client.getImgId({ tag }, callback));
    const ancestry = await promised<string[]>((callback) => client.getImgAncestry({ imgId }, callback));
    const images: (Pick<V1Image, 'id' | 'layer'> & { json: unknown })[] = [];
    for (const id of ancestry.toReversed()) {
      const json = await promised<unknown>((callback) => client.getImgJson({ imgId: id }, callback));
      const layer = await promised<Readable>((callback) => client.getImgLayerStream({ imgId: id }, callback));
      images.push({ id, json, layer: await buffer(layer) });
    }
    return images;
  } finally {
    client.close();
  }
}

function createClient(options: { name: string; scheme: string; username?: string; password?: string }): Client {
  const requireTool = createRequire(join(toolsDirectory, 'docker-registry-client/'));
  try {
    return requireTool('docker-registry-client').createClientV1(options);
  } catch (cause) {
    throw new Error('docker-registry-client is missing: run .ci/install-tools', { cause });
  }
}

function promised<Value>(call: (callback: Callback<Value>) => void): Promise<Value> {
  return new Promise((resolve, reject) => call((error, value) => (error ? reject(error) : resolve(value))));
}
