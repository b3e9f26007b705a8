// CloudFormation's intrinsic functions, as far as our templates use them; any other is an error, not a guess.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
import { isJsonObject, type JsonObject, type JsonValue } from '../../lib/model/json.ts';

export type Scope = {
  /** `Ref`: of parameters, resources and pseudo parameters. */
  ref(name: string): JsonValue | undefined;
  /** `Fn::GetAtt`, as `Resource.Attribute`. */
  attribute(path: string): JsonValue;
  condition(name: string): boolean;
};

/** A value with everything worked out; what is `AWS::NoValue` is left out of lists and maps. */
export function resolve(value: JsonValue, scope: Scope): JsonValue {
  const resolved = resolvedOf(value, scope);
  if (resolved === undefined) throw new Error('AWS::NoValue stands where a value has to be');
  return resolved;
}

function resolvedOf(value: JsonValue, scope: Scope): JsonValue | undefined {
  if (Array.isArray(value)) return value.map((item) => resolvedOf(item, scope)).filter((item) => item !== undefined);
  if (!isJsonObject(value)) return value;
  const [[name, argument] = ['', null], ...others] = Object.entries(value);
  if (others.length === 0 && (name === 'Ref' || name === 'Condition' || name.startsWith('Fn::'))) {
    // `Condition: x` beside nothing else is the function; a policy statement's Condition holds a map.
    if (name !== 'Condition' || typeof argument === 'string') return call(name, argument, scope);
  }
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) => {
      const resolved = resolvedOf(item, scope);
      return resolved === undefined ? [] : [[key, resolved]];
    }),
  );
}

function call(name: string, argument: JsonValue, scope: Scope): JsonValue | undefined {
  const list = () => argumentsOf(name, argument);
  const truth = (item: JsonValue | undefined) => resolvedOf(item ?? null, scope) === true;
  switch (name) {
    case 'Ref':
      return scope.ref(String(argument));
    case 'Condition':
      return scope.condition(String(argument));
    case 'Fn::GetAtt':
      return scope.attribute(Array.isArray(argument) ? argument.join('.') : String(argument));
    case 'Fn::If': {
      const [condition, whenTrue = null, whenFalse = null] = list();
      return resolvedOf(scope.condition(String(condition)) ? whenTrue : whenFalse, scope);
    }
    case 'Fn::Equals': {
      const [left = null, right = null] = list();
      return resolvedOf(left, scope) === resolvedOf(right, scope);
    }
    case 'Fn::Not':
      return !truth(list()[0]);
    case 'Fn::And':
      return list().every(truth);
    case 'Fn::Or':
      return list().some(truth);
    case 'Fn::Contains': {
      const [items = [], wanted = null] = list();
      return argumentsOf(name, items).some((item) => resolvedOf(item, scope) === resolvedOf(wanted, scope));
    }
    case 'Fn::Select': {
      const [index = null, items = []] = list();
      return argumentsOf(name, resolvedOf(items, scope) ?? null)[Number(index)];
    }
    case 'Fn::Split': {
      const [separator = '', text = ''] = list();
      return String(resolvedOf(text, scope)).split(String(separator));
    }
    case 'Fn::Join': {
      const [separator = '', items = []] = list();
      const resolved = resolvedOf(items, scope);
      return argumentsOf(name, resolved ?? null).join(String(separator));
    }
    case 'Fn::Sub':
      return substituted(argument, scope);
    default:
      throw new Error(`this reader of templates does not know ${name}`);
  }
}

function substituted(argument: JsonValue, scope: Scope): string {
  const [text, own] = Array.isArray(argument) ? argument : [argument, {}];
  const values: JsonObject = isJsonObject(own ?? null) ? (own as JsonObject) : {};
  return String(text).replace(/\$\{([^!}][^}]*)\}/g, (_, name: string) => {
    const value = name in values ? resolvedOf(values[name] ?? null, scope) : named(name, scope);
    if (value === undefined || typeof value === 'object') throw new Error(`\${${name}} is no text`);
    return String(value);
  });
}

function named(name: string, scope: Scope): JsonValue | undefined {
  return name.includes('.') ? scope.attribute(name) : scope.ref(name);
}

function argumentsOf(name: string, argument: JsonValue): JsonValue[] {
  if (!Array.isArray(argument)) throw new Error(`${name} takes a list`);
  return argument;
}
