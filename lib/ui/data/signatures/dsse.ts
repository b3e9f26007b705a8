// Signed statements: envelopes of DSSE, alone or in a bundle of Sigstore.
// https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md
// https://github.com/in-toto/attestation/blob/v1.1.0/spec/v1/statement.md
// https://github.com/sigstore/protobuf-specs/blob/v0.5.0/protos/sigstore_bundle.proto
import { isJsonObject, type JsonObject, type JsonValue } from '../../../model/json.ts';
import { algorithmOf, hexOf } from '../../../model/names.ts';
import { concatBytes, encodeText } from '../../../streams/bytes.ts';
import { parseCertificate } from './certificates.ts';
import { besideOf, signedBy } from './cosign.ts';
import {
  type Beside,
  base64Of,
  type CheckedSignature,
  type Claims,
  objectIn,
  pairsOf,
  parseStrictly,
  type Trust,
  textIn,
  unknownSignature,
} from './signature.ts';

const STATEMENT_TYPE = 'application/vnd.in-toto+json';
const STATEMENTS: readonly string[] = ['https://in-toto.io/Statement/v0.1', 'https://in-toto.io/Statement/v1'];
/** The predicate of a statement that is a signature and nothing else. */
const SIGN = 'https://sigstore.dev/cosign/sign/v1';

/** https://github.com/sigstore/protobuf-specs/blob/v0.5.0/protos/sigstore_bundle.proto (`media_type`) */
const BUNDLE_TYPE = /^application\/vnd\.dev\.sigstore\.bundle(?:\.v0\.\d\+json|\+json;version=0\.\d)$/;

/** More are neither shown nor verified. */
const MAX_SIGNATURES = 4;
const MAX_SUBJECTS = 100;

/** Checks an envelope as cosign attaches it by a `.att` tag. */
export async function checkEnvelope(bytes: Uint8Array, trust: Trust): Promise<CheckedSignature> {
  const envelope = parseStrictly(bytes);
  return envelope ? await checkStatement(envelope, trust) : unknownSignature('unreadable', 'attestation');
}

/** Checks a bundle: of a statement, or of a signature over the manifest itself. */
export async function checkBundle(bytes: Uint8Array, trust: Trust): Promise<CheckedSignature> {
  const bundle = parseStrictly(bytes);
  const material = objectIn(bundle, 'verificationMaterial');
  const chain = objectIn(material, 'x509CertificateChain')?.certificates;
  const [first] = Array.isArray(chain) ? chain : [material?.certificate];
  const der = isJsonObject(first) ? base64Of(first.rawBytes) : undefined;
  const certificate = der && parseCertificate(der);
  const entries = material?.tlogEntries;
  const [entry] = Array.isArray(entries) ? entries : [];
  const beside = besideOf(certificate, isJsonObject(entry) ? entry.integratedTime : undefined);
  const envelope = objectIn(bundle, 'dsseEnvelope');
  const message = objectIn(bundle, 'messageSignature');
  const isBundle = BUNDLE_TYPE.test(textIn(bundle, 'mediaType') ?? '');
  if (!isBundle || (envelope && message)) return unknownSignature('unreadable', 'bundle');
  if (envelope) return await checkStatement(envelope, trust, beside);
  const signature = base64Of(message?.signature);
  if (!signature) return unknownSignature('unreadable', 'bundle');
  return await checkMessage(signature, objectIn(message, 'messageDigest'), { trust, beside });
}

async function checkMessage(
  signature: Uint8Array,
  messageDigest: JsonObject | undefined,
  { trust: { subject, keys }, beside }: { trust: Trust; beside: Beside },
): Promise<CheckedSignature> {
  const isSha256 = messageDigest?.algorithm === 'SHA2_256';
  const digest = isSha256 ? base64Of(messageDigest?.digest)?.toString('hex') : undefined;
  const digests = digest === undefined ? [] : [`sha256:${digest}`];
  const claims: Claims = { format: 'bundle', digests, annotations: [], beside };
  if (!digests.some((claimed) => claimed === subject.digest)) return { claims, problem: 'otherDigest' };
  return await signedBy({ bytes: subject.bytes, signature }, { claims, keys });
}

async function checkStatement(
  envelope: JsonObject,
  { subject, keys }: Trust,
  beside: Beside = {},
): Promise<CheckedSignature> {
  const payload = base64Of(envelope.payload);
  const payloadType = textIn(envelope, 'payloadType');
  const statement = payload && parseStrictly(payload);
  const signatures = signaturesIn(envelope.signatures);
  if (!payload || !statement || payloadType === undefined || signatures.length === 0) {
    return unknownSignature('unreadable', 'attestation');
  }
  const subjects = Array.isArray(statement.subject)
    ? statement.subject.filter(isJsonObject).slice(0, MAX_SUBJECTS)
    : [];
  const predicateType = textIn(statement, 'predicateType');
  const isPlain = predicateType === SIGN;
  const digests = subjects.flatMap((item) => pairsOf(objectIn(item, 'digest')).map((parts) => parts.join(':')));
  const claims: Claims = {
    format: isPlain ? 'bundle' : 'attestation',
    digests,
    annotations: subjects.flatMap((item) => pairsOf(objectIn(item, 'annotations'))),
    ...(predicateType !== undefined && !isPlain && { predicateType }),
    beside,
  };
  const isStatement = payloadType === STATEMENT_TYPE && STATEMENTS.includes(textIn(statement, '_type') ?? '');
  if (!isStatement || predicateType === undefined) return { claims, problem: 'otherType' };
  if (!subjects.some((item) => isOf(item, subject.digest))) return { claims, problem: 'otherDigest' };
  const bytes = preAuthenticated(payloadType, payload);
  let checked: CheckedSignature = { claims, problem: 'untrusted' };
  for (const signature of signatures) {
    checked = await signedBy({ bytes, signature }, { claims, keys });
    if ('signer' in checked) break;
  }
  return checked;
}

/** Whether a subject of a statement is this digest. */
function isOf(item: JsonObject, digest: Trust['subject']['digest']): boolean {
  return textIn(objectIn(item, 'digest'), algorithmOf(digest)) === hexOf(digest);
}

function signaturesIn(value: JsonValue | undefined): Uint8Array[] {
  if (!Array.isArray(value) || value.length > MAX_SIGNATURES) return [];
  return value.flatMap((item) => (isJsonObject(item) ? (base64Of(item.sig) ?? []) : []));
}

/** The bytes that are signed: no payload of one type can be taken for one of another type. */
function preAuthenticated(type: string, payload: Uint8Array): Uint8Array {
  const typeBytes = encodeText(type);
  return concatBytes([
    encodeText(`DSSEv1 ${typeBytes.length} `),
    typeBytes,
    encodeText(` ${payload.length} `),
    payload,
  ]);
}
