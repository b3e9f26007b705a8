import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '../../lib/model/json.ts';
import { answers, ServerProcess } from '../e2e/server-process.ts';
import { freePort } from '../support/free-port.ts';
import { startLambdaProxy } from './lambda-proxy.ts';
import { arnOf, objectOf, type Resource, readStack, type Stack } from './template.ts';

export type PushEndpoint = {
  /** On another host than the gateway's. */
  url: string;
  process: ServerProcess;
  stop(): Promise<void>;
};

/** The nested stack of the push endpoint, with the parameters that the stack gives it. */
export function readPushEndpointStack(stack: Stack, edit?: (template: JsonObject) => void): Stack | undefined {
  const nested = stack.resources.get('PushEndpointStack');
  if (!nested) return undefined;
  const { Location, Parameters } = nested.properties;
  const parameters = objectOf(Parameters ?? {}, 'Parameters') as Record<string, string>;
  return readStack(join(stack.directory, String(Location)), { parameters, ...(edit && { edit }) });
}

/**
 * Runs the Web Function as Lambda does: the entry, told by a variable where to listen, behind a proxy.
 * https://docs.aws.amazon.com/lambda/latest/dg/web-functions.html
 */
export async function startPushEndpoint(
  nested: Stack,
  { env, directory, port }: { env: NodeJS.ProcessEnv; directory: string; port: number },
): Promise<PushEndpoint> {
  const artifact = artifactOf(nested);
  const behind = await freePort();
  const address = `127.0.0.1:${behind}`;
  const process = await ServerProcess.start({
    command: globalThis.process.execPath,
    args: [artifact],
    env: {
      ...env,
      ...environmentVariablesOf(nested),
      AWS_LAMBDA_HTTP_ENDPOINT: address,
    },
    log: join(directory, 'push-endpoint.log'),
    isReady: () => answers(`http://${address}/readyz`),
  });
  const proxy = await startLambdaProxy({ from: port, to: behind });
  return {
    url: pushEndpointUrl(port),
    process,
    async stop() {
      await proxy.stop();
      await process.stop();
    },
  };
}

/**
 * The variables of the Web Function. Other functions may have empty ones.
 * @throws Error for a value that is empty or too long
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-lambda-webfunctionrevision-serviceconfig.html
 */
export function environmentVariablesOf(nested: Stack): Record<string, string> {
  const { EnvironmentVariables } = webFunctionOf(nested).properties;
  const variables = Object.entries(objectOf(EnvironmentVariables ?? {}, 'EnvironmentVariables'));
  for (const [name, value] of variables) {
    const { length } = String(value);
    if (length < 1 || length > 4096) throw new Error(`${name} has ${length}, not 1 to 4,096 characters`);
  }
  return Object.fromEntries(variables.map(([name, value]) => [name, String(value)]));
}

/** The role that the Web Function runs with. */
export function roleOf(nested: Stack): Resource {
  const { ExecutionRoleArn } = webFunctionOf(nested).properties;
  const [, role] = [...nested.resources].find(([id]) => arnOf(id) === ExecutionRoleArn) ?? [];
  if (role?.type !== 'AWS::IAM::Role') throw new Error('the Web Function has no role of the stack');
  return role;
}

export const pushEndpointUrl = (port: number) => `http://localhost:${port}`;
export const choosePort = freePort;

/**
 * The file that Lambda would start. SAM CLI 1.170 rewrites an EntryPoint that ends in `.mjs` to one that is not there, and
 * says nothing of it; so whether it is there is asked here.
 */
export function artifactOf(nested: Stack): string {
  const { CodeUri, EntryPoint = 'index.js' } = webFunctionOf(nested).properties;
  const path = join(nested.directory, String(CodeUri), String(EntryPoint));
  if (!existsSync(path)) throw new Error(`the Web Function would start ${path}, which was not built`);
  return path;
}

export function webFunctionOf({ resources }: Stack): Resource {
  const found = [...resources.values()].find(({ type }) => type === 'AWS::Serverless::WebFunction');
  if (!found) throw new Error('there is no AWS::Serverless::WebFunction');
  return found;
}
