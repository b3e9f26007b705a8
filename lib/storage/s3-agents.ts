import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';

const MAX_SOCKETS = 256;

/** Pools of connections to S3. */
export type Agents = { http: HttpAgent; https: HttpsAgent };

/** @param maxSockets further requests wait for a connection, and fail if none is free within 5 s */
export function createAgents(maxSockets = MAX_SOCKETS): Agents {
  const options = { keepAlive: true, maxSockets };
  return { http: new HttpAgent(options), https: new HttpsAgent(options) };
}
