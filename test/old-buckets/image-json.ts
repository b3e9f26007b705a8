// The JSON of an image as Docker wrote it: in Go's field order, without white space, with `<`, `>` and `&` escaped.

type GoValue = null | boolean | number | string | readonly GoValue[] | { readonly [name: string]: GoValue };

/** Fields of an image's JSON in Docker's order, without `id` and `parent`. */
export type ImageFields = { readonly [name: string]: GoValue };

export function imageJson(id: string, parent: string | undefined, fields: ImageFields): Uint8Array {
  return Buffer.from(goJson({ id, ...(parent !== undefined && { parent }), ...fields }));
}

/** `runconfig.Config` of Docker 0.11, which writes all its fields. */
export function containerConfig(fields: ImageFields): ImageFields {
  return {
    Hostname: '',
    Domainname: '',
    User: '',
    Memory: 0,
    MemorySwap: 0,
    CpuShares: 0,
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    PortSpecs: null,
    ExposedPorts: null,
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: null,
    Cmd: null,
    Image: '',
    Volumes: null,
    WorkingDir: '',
    Entrypoint: null,
    NetworkDisabled: false,
    OnBuild: null,
    ...fields,
  };
}

function goJson(value: GoValue): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
