// CloudFormation's YAML: `!Sub x` is short for `Fn::Sub: x`. So the templates can be read as they are, not only as `sam build` leaves them.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
import { CORE_SCHEMA, defineScalarTag, defineSequenceTag, load, mergeTag, Schema } from 'js-yaml';
import type { JsonObject, JsonValue } from '../../lib/model/json.ts';

const SCHEMA = new Schema([
  ...CORE_SCHEMA.tags,
  mergeTag,
  defineScalarTag<JsonObject>('!', {
    matchByTagPrefix: true,
    resolve: (text, _isExplicit, tag) => called(tag, text),
    identify: () => false,
  }),
  defineSequenceTag<{ tag: string; items: JsonValue[] }, JsonObject>('!', {
    matchByTagPrefix: true,
    create: (tag) => ({ tag, items: [] }),
    addItem: ({ items }, item) => {
      items.push(item as JsonValue);
    },
    finalize: ({ tag, items }) => called(tag, items),
    identify: () => false,
  }),
]);

export function parseCloudFormationYaml(text: string): JsonValue {
  return load(text, { schema: SCHEMA }) as JsonValue;
}

function called(tag: string, argument: JsonValue): JsonObject {
  const name = tag.slice(1);
  return { [name === 'Ref' || name === 'Condition' ? name : `Fn::${name}`]: argument };
}
