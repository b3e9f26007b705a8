// Tags by which cosign, and clients without the referrers API, attach an artifact to the manifest that their names tell.
// https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
import { algorithmOf, type Digest, hexOf, isV2Tag, parseTag, type Tag } from './names.ts';

/** The ending that cosign gives the tag of signatures, of attestations, and of an SBOM. */
export type AttachedEnding = 'sig' | 'att' | 'sbom';

const ATTACHED = /^(sha256-[a-f0-9]{64}|sha512-[a-f0-9]{128})(?:\.(sig|att|sbom))?$/;

/** `sha256-<hex>.sig`; `undefined` for a sha512 digest, with which the tag would be longer than any tag can be. */
export function attachedTag(subject: Digest, ending: AttachedEnding): Tag | undefined {
  const tag = `${algorithmOf(subject)}-${hexOf(subject)}.${ending}`;
  return isV2Tag(tag) ? parseTag(tag) : undefined;
}

/** The manifest that the tag attaches something to; `undefined` for any other tag. `ending`: only for those of cosign. */
export function parseAttachedTag(tag: Tag): { subject: Digest; ending: AttachedEnding | undefined } | undefined {
  const [, start, ending] = ATTACHED.exec(tag) ?? [];
  return start === undefined
    ? undefined
    : { subject: start.replace('-', ':') as Digest, ending: ending as AttachedEnding | undefined };
}

/** The manifest that the tag attaches something to; `undefined` for any other tag. */
export function subjectOfTag(tag: Tag): Digest | undefined {
  return parseAttachedTag(tag)?.subject;
}
