import { closestName } from './closest-name.ts';
import { ConfigError } from './config-error.ts';
import { expandEnv, type Variables } from './expand-env.ts';
import { guardIn, guardMeantBy } from './guards.ts';
import { type KeyName, UNUSED_KEYS, type UnusedKey, USED_KEYS, type UsedKey, type ValueOf } from './keys.ts';
import { position } from './position.ts';
import { fromWhere, holdsMask, MASK, originOf, show, withoutSecrets } from './shown-values.ts';
import { isNull, isOff, isPlaceholder, NotAllowedError, PLACEHOLDER } from './value-types.ts';
import { isMap, isScalar, lineOf, YamlError, type YamlMap, type YamlNode } from './yaml-nodes.ts';
import { parsed } from './yaml-values.ts';

/** An effective value as written in the file, with its origin, for `stowage config`. Secrets are masked. */
export type Setting = {
  name: string;
  value: unknown;
  origin: string;
  /** Present for a value that no file can hold. */
  isVariable?: true;
};

/** The keys of one flavor. Reading a key validates it once and records the value for `stowage config`. */
export class Settings {
  /** One line each, with file and key. */
  readonly warnings: string[] = [];
  readonly read: Setting[] = [];
  readonly #file: string;
  readonly #root: YamlMap;
  readonly #variables: Variables;
  /** Position of the flavor, for messages about missing keys. */
  readonly #line: number | undefined;

  constructor(file: string, root: YamlMap, variables: Variables, line?: number) {
    this.#file = file;
    this.#root = new Map([...root].map(([name, node]) => [name, expandEnv(node, variables)]));
    this.#variables = variables;
    this.#line = line;
  }

  /** @throws ConfigError if the value is not allowed */
  get<K extends KeyName>(name: K): ValueOf<K>;
  /** Reads a key with a default other than the table's. */
  get<K extends KeyName>(name: K, fallback: NonNullable<ValueOf<K>>): NonNullable<ValueOf<K>>;
  get(name: KeyName, fallback?: unknown): unknown {
    const key: UsedKey<unknown> = USED_KEYS[name];
    let node = this.#find(name);
    if (isPlaceholder(node)) {
      this.warn(name, `still holds the sample's ${PLACEHOLDER} and counts as not set`);
      node = undefined;
    }
    return this.#read(name, node, fallback === undefined ? key : { ...key, fallback }, {
      where: this.where(name),
      source: this.#sourceOf(name, node),
    });
  }

  /** The first of these environment variables that is set; parsed and shown like a key. @throws ConfigError */
  variable<V>(name: string, key: UsedKey<V>, variables: readonly string[]): V {
    const variable = variables.find((candidate) => this.#variables.env[candidate]) ?? '';
    const node = expandEnv({ text: `_env:${variable}`, isPlain: true }, this.#variables);
    return this.#read(name, node, key, { where: name, source: node, isVariable: true });
  }

  /** Whether the key was read and has its default. */
  isDefault(name: KeyName): boolean {
    return this.read.some((setting) => setting.name === name && setting.origin === 'default');
  }

  /** Whether the key holds the samples' placeholder. */
  isPlaceholder(name: KeyName): boolean {
    return isPlaceholder(this.#find(name));
  }

  /**
   * Whether this is a map of keys, possibly without values. False if the map is switched off, which is recorded as read.
   * @throws ConfigError
   */
  isMap(outer: string): boolean {
    const node = this.#root.get(outer);
    const map = node && this.#parsing(this.where(outer), node, parsed);
    if (isMap(map)) return true;
    if (!isOff(map)) this.fail(outer, 'must be a map of keys, or null');
    this.read.push({ name: outer, value: null, origin: 'default' });
    return false;
  }

  /** Whether the operator has switched this map off. @throws ConfigError */
  isSwitchedOff(outer: string): boolean {
    return this.#root.get(outer) !== undefined && !this.isMap(outer);
  }

  /** @param item of a list, from 0 on */
  warn(name: string, problem: string, item?: number): void {
    this.warnings.push(`${this.where(name, item)} ${problem}`);
  }

  /** @param item of a list, from 0 on. @throws ConfigError */
  fail(name: string, problem: string, item?: number): never {
    throw new ConfigError(`${this.where(name, item)} ${problem}`);
  }

  /** The message also names the variable of a key. @throws ConfigError */
  missing(name: KeyName, remedy: string): never {
    const node = this.#find(name);
    const variable = isScalar(node) ? node.variable : undefined;
    const why = variable ? `: the variable ${variable.name} is ${variable.isDefault ? 'not set' : 'empty'}` : '';
    return this.fail(name, `is missing${why}; ${remedy}`);
  }

  /**
   * Warns of keys without an effect and of unknown keys.
   * @throws ConfigError if an unknown key probably means one that closes the registry
   */
  checkNames(): void {
    for (const [name, node] of this.#root) {
      const map = USED_NAMES.some((used) => used.startsWith(`${name}.`)) ? parsed(node) : undefined;
      if (isMap(map)) for (const [inner, item] of map) this.#checkName(`${name}.${inner}`, item);
      else this.#checkName(name, node);
    }
  }

  #checkName(name: string, node: YamlNode): void {
    if (USED_NAMES.some((used) => used === name || used.startsWith(`${name}.`))) return;
    this.#checkGuards(name, node);
    const unused = Object.hasOwn(UNUSED_KEYS, name) ? UNUSED_KEYS[name] : undefined;
    if (unused) {
      if (isChosen(node, unused)) this.warn(name, `is ignored: ${unused.why}`);
      return;
    }
    const closest = closestName(name, ALL_NAMES);
    this.warn(name, `is not a known key and is ignored${closest ? `; did you mean ${closest}?` : ''}`);
  }

  /** A misspelt key that should close the registry would leave it open, and one of retention or a quota would have no effect. */
  #checkGuards(name: string, node: YamlNode): void {
    const [outer = '', inner] = name.split('.');
    if ((outer === 'auth' || outer === 'retention') && inner !== undefined) {
      const prefix = `${outer}.`;
      const allowed = USED_NAMES.flatMap((used) => (used.startsWith(prefix) ? [used.slice(prefix.length)] : []));
      const closest = closestName(inner, allowed);
      this.fail(
        name,
        `is not a known key; ${closest ? `did you mean ${prefix}${closest}?` : `allowed: ${allowed.join(', ')}`}`,
      );
    }
    if (name === 'groups' && isMap(node) && !isOff(node))
      this.fail(name, 'is not a known key; did you mean auth.groups?');
    if (Object.hasOwn(UNUSED_KEYS, name) || outer === 'issue') return;
    const meant = guardMeantBy(inner ?? outer);
    if (meant && inner !== undefined) this.fail(name, `means nothing there; did you mean ${meant}, beside ${outer}?`);
    if (meant) this.fail(name, `is not a known key; did you mean ${meant}?`);
    const hidden = guardIn(node);
    if (hidden) this.fail(`${name}.${hidden}`, `means nothing there; did you mean ${hidden}, beside ${outer}?`);
  }

  #find(name: KeyName): YamlNode | undefined {
    const [outer = '', inner] = name.split('.');
    const node = this.#root.get(outer);
    if (inner === undefined || node === undefined) return node;
    const map = this.#parsing(this.where(outer), node, parsed);
    if (isMap(map)) return map.get(inner);
    return isOff(map) ? undefined : this.fail(outer, 'must be a map of keys, or null');
  }

  /** File, line and name, as the beginning of a message. */
  where(name: string, item?: number): string {
    return position(this.#file, this.#lineOf(name, item), name);
  }

  /** The line of the item or key, else of the enclosing map, else of the flavor. */
  #lineOf(name: string, item?: number): number | undefined {
    const [outer = '', inner = ''] = name.split('.');
    const outerNode = this.#root.get(outer);
    const node = isMap(outerNode) ? outerNode.get(inner) : outerNode;
    const itemNode = item !== undefined && Array.isArray(node) ? node[item] : undefined;
    return lineOf(itemNode) ?? lineOf(node) ?? lineOf(outerNode) ?? this.#line;
  }

  /** The node that records the variable of a value: the enclosing map, if a variable holds that. */
  #sourceOf(name: KeyName, node: YamlNode | undefined): YamlNode | undefined {
    const outer = this.#root.get(name.split('.')[0] ?? '');
    return isScalar(outer) ? outer : node;
  }

  #read<V>(
    name: string,
    node: YamlNode | undefined,
    key: UsedKey<V>,
    { where, source, ...more }: Pick<Setting, 'isVariable'> & { where: string; source: YamlNode | undefined },
  ): V {
    const value = node === undefined ? null : this.#parsing(where, node, (given) => key.type.parse(given));
    if (value === undefined) {
      const shown = key.isSecret ? MASK : show(node);
      throw new ConfigError(`${where} ${shown}${fromWhere(node)} is not allowed; allowed: ${key.type.allowed}`);
    }
    if (holdsMask(value)) {
      throw new ConfigError(`${where} holds ${MASK}, which stands for a secret; put the secret itself there`);
    }
    const effective = value ?? key.fallback;
    const isSet = effective !== undefined && effective !== null;
    const written = isSet && key.type.format ? key.type.format(effective) : effective;
    const shown = written === undefined ? null : withoutSecrets(written, key.isSecret, node);
    this.read.push({ name, value: shown, origin: value === null ? 'default' : originOf(source), ...more });
    return effective;
  }

  #parsing<T>(where: string, node: YamlNode, parse: (node: YamlNode) => T): T {
    try {
      return parse(node);
    } catch (error) {
      if (error instanceof NotAllowedError) {
        const precise = error.line === undefined ? where : where.replace(/:\d+: /, `:${error.line}: `);
        throw new ConfigError(`${precise}${fromWhere(node)}: ${error.message}`);
      }
      if (!(error instanceof YamlError)) throw error;
      throw new ConfigError(`${where}${fromWhere(node)} is not valid YAML: ${error.message}`, { cause: error });
    }
  }
}

/** Whether an operator has chosen this value; a value of the samples is not a choice. */
function isChosen(node: YamlNode, { switchedOnBy, ignoreDefault, isSetByFalse }: UnusedKey): boolean {
  const chosen = switchedOnBy && isMap(node) ? node.get(switchedOnBy) : node;
  if (chosen === undefined || isPlaceholder(chosen) || isNull(chosen)) return false;
  if (ignoreDefault && isScalar(chosen) && chosen.variable?.isDefault) return false;
  return isSetByFalse === true || !isOff(chosen);
}

const USED_NAMES = Object.keys(USED_KEYS);
const ALL_NAMES = [...USED_NAMES, ...Object.keys(UNUSED_KEYS)];
