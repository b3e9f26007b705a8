// A template, as it is written or as `sam build` leaves it, with parameters given: what a deployment would make of it, as far
// as a stand-in has to know.
import { readFileSync } from 'node:fs';
import { dirname, resolve as resolvePath } from 'node:path';
import { isJsonObject, type JsonObject, type JsonValue } from '../../lib/model/json.ts';
import { parseCloudFormationYaml } from './cloudformation-yaml.ts';
import { resolve, type Scope } from './intrinsics.ts';

/** The template as it is written, for what needs no bundles. */
export const SOURCE_TEMPLATE = resolvePath(import.meta.dirname, '../../template.yaml');
export const BUILT_TEMPLATE = resolvePath(import.meta.dirname, '../../.aws-sam/build/template.yaml');

export const ACCOUNT = '123456789012';
export const REGION = 'eu-west-1';

const PSEUDO: Record<string, string> = {
  'AWS::AccountId': ACCOUNT,
  'AWS::Partition': 'aws',
  'AWS::Region': REGION,
  'AWS::StackId': `arn:aws:cloudformation:${REGION}:${ACCOUNT}:stack/stowage/11111111-2222-3333-4444-555555555555`,
  'AWS::StackName': 'stowage',
  'AWS::URLSuffix': 'amazonaws.com',
};

export type Resource = {
  type: string;
  properties: JsonObject;
  /** Logical ids of what has to be there before. */
  dependsOn: string[];
};

export type Stack = {
  /** Directory of the template, from which its paths start. */
  directory: string;
  /** With those that were left at their default. */
  parameters: Record<string, string>;
  /** Those whose condition holds, by logical id. */
  resources: Map<string, Resource>;
  outputs: Map<string, string>;
};

export type StackOptions = {
  /** Changes the template before it is read: to see that a mistake in it is noticed. */
  edit?: (template: JsonObject) => void;
  parameters?: Record<string, string>;
  region?: string;
  /** What only a deployment knows: `PushEndpointStack.Outputs.Url`, or the ARN that stands for a resource. */
  known?: Record<string, string>;
};

/** @throws Error for parameters that the template does not allow, or a name that it does not have, or not with these */
export function readStack(
  file = BUILT_TEMPLATE,
  { parameters = {}, known = {}, region = REGION, edit }: StackOptions = {},
): Stack {
  const pseudo: Record<string, string> = { ...PSEUDO, 'AWS::Region': region };
  const template = objectOf(parseCloudFormationYaml(readTemplate(file)), file);
  edit?.(template);
  const given = parametersOf(objectOf(template.Parameters ?? {}, 'Parameters'), parameters);
  const resources = objectOf(template.Resources ?? null, 'Resources');
  const conditions = objectOf(template.Conditions ?? {}, 'Conditions');
  const isMade = (id: string): boolean => id in resources && holds(objectOf(resources[id] ?? null, id));
  const scope: Scope = {
    ref(name) {
      if (name === 'AWS::NoValue') return undefined;
      const value = given[name] ?? pseudo[name];
      if (value !== undefined) return value;
      // SAM has `RestApi.Deployment` and `CollectorRole` for what it makes of `RestApi` and `Collector`.
      const [before = ''] = name.split('.');
      const id = isMade(before) ? before : before.replace(/Role$/, '');
      if (!isMade(id)) throw new Error(`Ref ${name}: there is no such name`);
      return known[name] ?? physicalId(name);
    },
    attribute(path) {
      const [id = ''] = path.split('.');
      if (!isMade(id) && !isMadeBySam(id, resources)) throw new Error(`GetAtt ${path}: there is no such resource`);
      return known[path] ?? (path.endsWith('.Arn') ? arnOf(id) : physicalId(path));
    },
    condition(name) {
      if (!(name in conditions)) throw new Error(`there is no condition ${name}`);
      return resolve(conditions[name] ?? null, scope) === true;
    },
  };
  const holds = ({ Condition }: JsonObject) => typeof Condition !== 'string' || scope.condition(Condition);
  checkRules(objectOf(template.Rules ?? {}, 'Rules'), given, pseudo);
  const globals = objectOf(template.Globals ?? {}, 'Globals');

  const exists = new Map<string, Resource>();
  for (const [id, value] of Object.entries(resources)) {
    const { Type, Properties, DependsOn = [], ...rest } = objectOf(value, id);
    if (!holds(rest)) continue;
    const own = objectOf(Properties ?? {}, id);
    const [, kind = ''] = /^AWS::Serverless::(\w+)$/.exec(String(Type)) ?? [];
    const whole = merged(objectOf(globals[kind] ?? {}, kind), own);
    const dependsOn = [DependsOn].flat().map(String);
    for (const other of dependsOn)
      if (!(other in resources)) throw new Error(`${id} depends on ${other}, which is not there`);
    exists.set(id, { type: String(Type), properties: objectOf(resolve(whole, scope), id), dependsOn });
  }
  const outputs = new Map<string, string>();
  for (const [name, value] of Object.entries(objectOf(template.Outputs ?? {}, 'Outputs'))) {
    const output = objectOf(value, name);
    if (holds(output)) outputs.set(name, String(resolve(output.Value ?? null, scope)));
  }
  return { directory: dirname(file), parameters: given, resources: exists, outputs };
}

/**
 * Which parameters go together: asked before anything is made, by parameters alone.
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html
 */
function checkRules(rules: JsonObject, given: Record<string, string>, pseudo: Record<string, string>): void {
  const no = (what: string) => (name: string) => {
    throw new Error(`a rule may not ask for the ${what} ${name}`);
  };
  const scope: Scope = {
    ref: (name) => given[name] ?? pseudo[name] ?? no('name')(name),
    attribute: no('resource'),
    condition: no('condition'),
  };
  for (const [name, value] of Object.entries(rules)) {
    const { RuleCondition = true, Assertions = null } = objectOf(value, name);
    if (!Array.isArray(Assertions)) throw new Error(`the rule ${name} asserts nothing`);
    if (resolve(RuleCondition, scope) !== true) continue;
    for (const assertion of Assertions) {
      const { Assert = null, AssertDescription } = objectOf(assertion, name);
      if (resolve(Assert, scope) !== true) throw new Error(`the rule ${name} says: ${String(AssertDescription)}`);
    }
  }
}

/** SAM makes three resources of a Web Function; the endpoint is the one that has a host, the revision the one with the code. */
function isMadeBySam(id: string, resources: JsonObject): boolean {
  const [, webFunction = ''] = /^(.*)(?:Endpoint|Revision)$/.exec(id) ?? [];
  const made = resources[webFunction] ?? null;
  return isJsonObject(made) && made.Type === 'AWS::Serverless::WebFunction';
}

/** A resource's name where the deployment would have chosen one. */
export function physicalId(name: string): string {
  return `${name.toLowerCase().replaceAll('.', '-')}-id`;
}

export function arnOf(id: string): string {
  return `arn:aws:lambda:${REGION}:${ACCOUNT}:function:${id}`;
}

function readTemplate(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Error(`${file} is missing: run "npm run build:lambda" first`, { cause });
  }
}

function parametersOf(declared: JsonObject, given: Record<string, string>): Record<string, string> {
  for (const name of Object.keys(given)) if (!(name in declared)) throw new Error(`there is no parameter ${name}`);
  return Object.fromEntries(
    Object.entries(declared).map(([name, value]) => {
      const { Default, AllowedValues, AllowedPattern } = objectOf(value, name);
      const chosen = given[name] ?? Default;
      if (chosen === undefined) throw new Error(`the parameter ${name} has no default and is not given`);
      const text = String(chosen);
      if (Array.isArray(AllowedValues) && !AllowedValues.map(String).includes(text)) {
        throw new Error(`${name} ${text} is not allowed`);
      }
      // CloudFormation matches the whole text, also if the pattern has no anchors.
      if (typeof AllowedPattern === 'string' && !new RegExp(`^(?:${AllowedPattern})$`).test(text)) {
        throw new Error(`${name} ${text} does not match ${AllowedPattern}`);
      }
      return [name, text];
    }),
  );
}

/**
 * As SAM puts Globals under a resource: maps are merged, all else is replaced.
 * https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html
 */
function merged(base: JsonObject, own: JsonObject): JsonObject {
  const result = { ...base };
  for (const [key, value] of Object.entries(own)) {
    const below = result[key] ?? null;
    result[key] = isJsonObject(below) && isJsonObject(value) ? merged(below, value) : value;
  }
  return result;
}

export function objectOf(value: JsonValue, what: string): JsonObject {
  if (!isJsonObject(value)) throw new Error(`${what} is not a map`);
  return value;
}
