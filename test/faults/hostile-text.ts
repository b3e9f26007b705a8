// Text that breaks what reads it: names, paths, numbers, JSON.
import fc, { type Arbitrary } from 'fast-check';

const WORDS = [
  ...'. .. ... / // % * ~ - _ -1 .tmp a A con nul NaN null undefined 1e309 0x10 %s%n ; C:\\ `id` <script>'.split(' '),
  ...'tags list manifests blobs uploads referrers _catalog images json layer properties auth library latest'.split(' '),
  ...'tag_latest x_json _x _index_images _inprogress __proto__ constructor toString hasOwnProperty'.split(' '),
  ...'/etc/passwd ..\\..\\ é e\u0301 日本 💥 İ ſ \u202e \ufeff'.split(' '),
  ...['', ' ', 'a\0b', 'a\r\nX-Injected: 1', 'a\tb', '\ud800', 'a'.repeat(256), '../'.repeat(12)],
];

export const text = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...WORDS) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 2, arbitrary: fc.string({ unit: 'grapheme', maxLength: 20 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 9000 }).map((length) => 'n'.repeat(length)) },
);

export const hex = (digits: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: digits, maxLength: digits });

/** As it could stand in a URL: as clients write it, as they should not, and twice over. */
export const inUrl = (value: Arbitrary<string>): Arbitrary<string> =>
  fc.tuple(value, fc.constantFrom('part', 'path', 'all', 'twice', 'raw', 'raw', 'overlong')).map(([original, how]) => {
    const bytes = Buffer.from(original);
    switch (how) {
      case 'part':
        return encodeURIComponent(original.toWellFormed());
      case 'path':
        return original.toWellFormed().split('/').map(encodeURIComponent).join('/');
      case 'all':
        return Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
      case 'twice':
        return encodeURIComponent(encodeURIComponent(original.toWellFormed()));
      case 'overlong':
        return encodeURIComponent(original.toWellFormed()).replaceAll('.', '%c0%ae').replaceAll('%2F', '%c0%af');
      default:
        // What cannot stand on a request line at all is for requests that are malformed on purpose.
        return bytes.toString('latin1').replace(/[^!-~\x80-\xff]/g, '%20');
    }
  });

/** Something right, with something wrong in it. */
const spoiled = (right: Arbitrary<string>): Arbitrary<string> =>
  fc
    .tuple(right, text, fc.nat(80), fc.constantFrom('insert', 'cut', 'upper', 'double'))
    .map(([original, word, at, how]) => {
      const position = Math.min(at, original.length);
      switch (how) {
        case 'insert':
          return original.slice(0, position) + word + original.slice(position);
        case 'cut':
          return original.slice(0, position) + original.slice(position + 1);
        case 'upper':
          return original.toUpperCase();
        default:
          return original + original;
      }
    });

/** Right, nearly right, or anything. */
export const perhaps = (right: Arbitrary<string>): Arbitrary<string> =>
  fc.oneof({ weight: 5, arbitrary: right }, { weight: 3, arbitrary: spoiled(right) }, { weight: 2, arbitrary: text });

export const number = fc.oneof(
  fc.nat(20).map(String),
  fc.constantFrom('-1', '00', '1.5', '1e3', '9007199254740993', '9'.repeat(400), '+1', ' 1', '0x1', 'Infinity', '١'),
);

/** Headers as bytes that a header may hold. */
export const inHeader = (value: Arbitrary<string>): Arbitrary<string> =>
  value.map((original) =>
    Buffer.from(original)
      .toString('latin1')
      .replace(/[^\t -~\x80-\xff]/g, '?'),
  );

export const json = fc.oneof(
  { weight: 4, arbitrary: fc.json({ maxDepth: 4 }) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      '',
      'null',
      '{}',
      '[]',
      '""',
      '0',
      '-',
      '{"a":',
      '[[',
      '\ufeff{}',
      '{"__proto__":{"a":1}}',
      '1e999',
      '"\\ud800"',
      'NaN',
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom('[', '{"a":', '"').map((opening) => opening.repeat(20_000)) },
);

export const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  json.map((value) => Buffer.from(value)),
  text.map((value) => Buffer.from(value)),
);
