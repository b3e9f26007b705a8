// One instance of a function, in a thread with an environment of its own: loads the bundle, then handles one event after
// another. Started by `lambda-function.ts`.
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';

/** `event` as JSON. */
export type Invocation = { event: string; arn: string; timeoutSeconds: number };

export type InstanceMessage =
  | { kind: 'ready'; initMs: number }
  | { kind: 'result'; text: string }
  | { kind: 'error'; message: string };

const port = parentPort;
if (!port) throw new Error('this runs in a thread');
const started = performance.now();
const { handler } = (await import(pathToFileURL(workerData.entry).href)) as {
  handler: (event: unknown, context: object) => Promise<unknown>;
};
const send = (message: InstanceMessage) => port.postMessage(message);
port.on('message', ({ event, arn, timeoutSeconds }: Invocation) => {
  // https://docs.aws.amazon.com/lambda/latest/dg/nodejs-context.html
  const endsAt = Date.now() + timeoutSeconds * 1000;
  const context = {
    ...{ awsRequestId: 'request', invokedFunctionArn: arn },
    getRemainingTimeInMillis: () => endsAt - Date.now(),
  };
  handler(JSON.parse(event), context).then(
    // What a handler gives travels as JSON, in which undefined is null at the top and nothing inside.
    (result) => send({ kind: 'result', text: JSON.stringify(result ?? null) }),
    (error: unknown) => send({ kind: 'error', message: error instanceof Error ? error.message : String(error) }),
  );
});
send({ kind: 'ready', initMs: performance.now() - started });
