// The values of unquoted scalars in YAML 1.1, as js-yaml resolves them. Nearly all of a configuration is read without js-yaml.

const NULLS = ['', '~', 'null', 'Null', 'NULL'];
const TRUES = ['true', 'True', 'TRUE', 'yes', 'Yes', 'YES', 'on', 'On', 'ON'];
const FALSES = ['false', 'False', 'FALSE', 'no', 'No', 'NO', 'off', 'Off', 'OFF'];

/** https://yaml.org/type/int.html */
const INTEGER =
  /^[-+]?(?:0b(?<binary>[01_]+)|0x(?<hex>[0-9a-fA-F_]+)|(?<sexagesimal>[0-9][0-9_]*(?::[0-5]?[0-9])+)|(?<octal>0[0-7_]+)|(?<decimal>0|[1-9][0-9_]*))$/;
/** https://yaml.org/type/float.html */
const FLOAT =
  /^[-+]?(?:(?<infinite>\.(?:inf|Inf|INF))|(?<sexagesimal>[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*)|(?<decimal>(?:[0-9][0-9_]*)?\.[0-9_]*(?:[eE][-+][0-9]+)?))$/;
const NAN = /^\.(?:nan|NaN|NAN)$/;

/** The value of an unquoted scalar. `y` and `n` are texts, as in PyYAML and against the specification. */
export function plainValue(text: string): string | number | boolean | null {
  if (isNullText(text)) return null;
  if (TRUES.includes(text)) return true;
  if (FALSES.includes(text)) return false;
  return numberOf(text) ?? text;
}

/** Whether an unquoted scalar stands for null. */
export function isNullText(text: string): boolean {
  return NULLS.includes(text);
}

function numberOf(text: string): number | undefined {
  if (NAN.test(text)) return Number.NaN;
  const { binary, hex, octal, decimal, sexagesimal, infinite } =
    INTEGER.exec(text)?.groups ?? FLOAT.exec(text)?.groups ?? {};
  const sign = text.startsWith('-') ? -1 : 1;
  if (infinite) return sign * Number.POSITIVE_INFINITY;
  const size =
    fromDigits(binary, 2) ??
    fromDigits(hex, 16) ??
    fromDigits(octal, 8) ??
    (decimal && Number.parseFloat(digitsOf(decimal))) ??
    (sexagesimal &&
      digitsOf(sexagesimal)
        .split(':')
        .reduce((sum, part) => sum * 60 + Number(part), 0));
  return typeof size === 'number' && Number.isFinite(size) ? sign * size : undefined;
}

function fromDigits(digits: string | undefined, radix: number): number | undefined {
  return digits === undefined ? undefined : Number.parseInt(digitsOf(digits), radix);
}

function digitsOf(text: string): string {
  return text.replaceAll('_', '');
}
