// The images of the example bucket. Ids, parents and what is known of the JSON of 14.04 are real; the rest is invented so that
// each form of layer and each peculiarity of a JSON occurs.
import { createHash } from 'node:crypto';
import type { TarEntry } from '../support/tar.ts';
import { ANCESTRIES, BASE_ID, type Release } from './example.ts';
import { containerConfig, type ImageFields, imageJson } from './image-json.ts';
import { type LayerForm, type OldLayer, oldLayer } from './layers.ts';

export type OldImage = {
  id: string;
  /** This image first, its base last. */
  ancestry: readonly string[];
  json: Uint8Array;
  layer: OldLayer;
};

/** The 24 images, parents before their children. */
export function exampleImages(): OldImage[] {
  const base = image([BASE_ID], oldLayer('docker-1.5', [{ path: './' }]), BASE_FIELDS);
  return [
    base,
    ...ubuntu('12.10', 'quantal', ['tar', 'docker-1.2', 'docker-1.2', 'docker-1.2', 'docker-1.5']),
    ...ubuntu('13.04', 'raring', ['docker-1.5', 'docker-1.5', 'docker-1.5', 'docker-1.5', 'docker-1.5']),
    ...ubuntu('13.10', 'saucy', ['none', 'tar', 'xz', 'bzip2', 'docker-1.2']),
    ...ubuntu('14.04', 'trusty', ['docker-0.11', 'docker-0.11', 'docker-0.11', 'docker-0.11', 'docker-0.11']),
    ...centos(),
  ];
}

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const CONTAINER = 'e0fbc1e5d1fdd8c2b9ab21c0f5d4e8d3b3ff4ba1a3b1e0a7d2c34ab5d1d4ee0f';

/** The oldest base image: no `config`, a time zone other than UTC, an architecture that Go does not know. */
const BASE_FIELDS: ImageFields = {
  comment: 'Imported from -',
  created: '2013-06-13T14:03:50.821769-07:00',
  container_config: containerConfig({}),
  docker_version: '0.4.0',
  architecture: 'x86_64',
};

/** Five images above the base. Some change no file: the first of 13.10, and two of 14.04 with the same layer. */
function ubuntu(release: Release, codename: string, forms: readonly LayerForm[]): OldImage[] {
  const rootfs: TarEntry[] = [
    { path: 'etc/' },
    { path: 'etc/issue', content: text(`Ubuntu ${release} LTS \\n \\l\n`) },
    { path: 'etc/lsb-release', content: text(`DISTRIB_RELEASE=${release}\nDISTRIB_CODENAME=${codename}\n`) },
    { path: 'install.log', content: text('to be removed from the root\n') },
    { path: 'tmp/', mode: 0o1777 },
    { path: 'tmp/build.log', content: text('to be removed from a folder\n') },
    { path: 'usr/' },
    { path: 'usr/lib/' },
    { path: 'usr/lib/noise', content: noise(release, 20_000), mode: 0o755 },
    { path: 'usr/lib/zeros', content: Buffer.alloc(100_000) },
  ];
  const sources = text(`deb http://archive.ubuntu.com/ubuntu ${codename} main\n`);
  const apt: TarEntry[] = [{ path: 'etc/' }, { path: 'etc/apt/' }, { path: 'etc/apt/sources.list', content: sources }];
  const whiteouts: TarEntry[] = [
    { path: './' },
    { path: './.wh.install.log', content: text('') },
    { path: './tmp/', mode: 0o1777 },
    { path: './tmp/.wh.build.log', content: text('') },
  ];
  const top: TarEntry[] = [
    { path: 'etc/' },
    { path: 'etc/issue', content: text(`Ubuntu ${release}, updated\n`) },
    { path: 'root/', mode: 0o700 },
    { path: 'root/.bashrc', content: text(`PS1='${codename}:\\w# '\n`), mode: 0o600 },
  ];
  const contents =
    release === '13.10'
      ? [[], rootfs, apt, whiteouts, top]
      : release === '14.04'
        ? [rootfs, [...apt, ...whiteouts], [], [], top]
        : [rootfs, apt, whiteouts, [], top];
  const ancestry = ANCESTRIES[release];
  return contents.map((entries, index) => {
    const chain = ancestry.slice(contents.length - 1 - index);
    return image(chain, oldLayer(forms[index] ?? 'none', entries), fieldsOf(release, index));
  });
}

/** The JSON fields of the image at `index` above the base; the top images differ between releases. */
function fieldsOf(release: Release, index: number): ImageFields {
  const step = { Hostname: '1a3b5c7d9e0f', Image: BASE_ID, Env: ['HOME=/', PATH] };
  const usual = {
    created: `2014-05-15T02:37:${47 + index}.${'123456789'.slice(index)}Z`,
    container: CONTAINER,
    container_config: containerConfig({ ...step, Cmd: ['/bin/sh', '-c', `#(nop) step ${index} && echo "<done>"`] }),
    docker_version: '0.10.0',
    author: `Zoë Ångström <${release}@example.com>`,
    config: containerConfig({ ...step, Cmd: ['/bin/bash'] }),
    architecture: 'amd64',
    os: 'linux',
  };
  if (index < 4) return index === 1 ? { ...usual, config: null, author: null } : usual;
  switch (release) {
    case '12.10':
      return { ...usual, comment: null, container: null, author: null, variant: null, checksum: 'of docker 0.6' };
    case '13.04':
      return {
        ...usual,
        comment: 'with all that a Dockerfile can say',
        config: containerConfig({
          ...step,
          User: 'www-data:33',
          Memory: 268_435_456,
          MemorySwap: -1,
          ExposedPorts: { '80/tcp': {}, '53/udp': {} },
          Env: ['HOME=/', PATH, 'GREETING=Grüße, 世界 & <more> = "fun"', 'EMPTY='],
          Cmd: ['--help'],
          Volumes: { '/var/lib/data': {} },
          WorkingDir: '/srv',
          Entrypoint: ['/usr/bin/env', 'sh', '-c'],
          OnBuild: ['RUN echo "$HOME"'],
          Labels: { 'com.example.vendor': 'ACME', description: 'Zeile 1\nZeile 2 \u2028 end' },
        }),
      };
    default:
      return { ...usual, created: '2014-05-15T02:37:51.21802123Z' };
  }
}

function centos(): OldImage[] {
  const fields = (created: string): ImageFields => ({
    created,
    container: CONTAINER,
    container_config: containerConfig({ Cmd: ['/bin/sh', '-c', '#(nop) ADD centos.tar.xz in /'] }),
    docker_version: '0.9.1',
    author: 'The CentOS Project <cloud-ops@centos.org> - ami_creator',
    config: containerConfig({ Cmd: null }),
    architecture: 'amd64',
    os: 'linux',
  });
  const [top, middle, base] = ANCESTRIES['centos 6.5'];
  const release = (version: string): TarEntry[] => [
    { path: 'etc/' },
    { path: 'etc/centos-release', content: text(`CentOS release ${version} (Final)\n`) },
  ];
  const locales: TarEntry = { path: 'locale-archive', content: noise('centos', 300_000) };
  return [
    image(ANCESTRIES['centos 6.4'], oldLayer('docker-1.5', release('6.4')), fields('2013-04-11T21:13:15Z')),
    image([middle, base], oldLayer('docker-1.5', [...release('6.4'), locales]), fields('2014-04-21T22:59:56.5Z')),
    image([top, middle, base], oldLayer('docker-1.2', release('6.5')), fields('2014-04-21T23:00:12.000000001Z')),
  ];
}

/** An image with this number of ancestors, each with a file of its own. */
export function deepImages(ancestors: number): OldImage[] {
  const ids = Array.from({ length: ancestors + 1 }, (_, depth) => madeUpId(`deep ${depth}`));
  return ids.map((_, depth) => {
    const file = { path: `${String(depth).padStart(3, '0')}`, content: text(`${depth}\n`) };
    const chain = ids.slice(0, depth + 1).toReversed();
    const layer = oldLayer('docker-1.5', [file]);
    if (depth === ancestors) return image(chain, layer, fieldsOf('14.04', 0));
    // Docker since 1.10 sends only these fields for images below the top.
    return { id: chain[0] ?? '', ancestry: chain, json: imageJson(chain[0] ?? '', chain[1], {}), layer };
  });
}

/** An image above centos 6.5 whose push was interrupted in the layer. */
export function interruptedImage(): OldImage {
  const chain = [madeUpId('interrupted'), ...ANCESTRIES['centos 6.5']];
  const entries = [{ path: 'opt/' }, { path: 'opt/half', content: noise('interrupted', 4000) }];
  return image(chain, oldLayer('docker-1.5', entries), fieldsOf('14.04', 0));
}

function image(ancestry: readonly string[], layer: OldLayer, fields: ImageFields): OldImage {
  const [id = '', parent] = ancestry;
  const sizeBytes = layer.entries.reduce((sum, { content }) => sum + (content?.length ?? 0), 0);
  return { id, ancestry, json: imageJson(id, parent, { ...fields, Size: sizeBytes }), layer };
}

function madeUpId(name: string): string {
  return createHash('sha256').update(`stowage, old bucket, ${name}`).digest('hex');
}

function text(content: string): Uint8Array {
  return Buffer.from(content);
}

/** Incompressible bytes, the same on each run. */
function noise(seed: string, sizeBytes: number): Uint8Array {
  const count = Math.ceil(sizeBytes / 32);
  const blocks = Array.from({ length: count }, (_, index) => createHash('sha256').update(`${seed} ${index}`).digest());
  return Buffer.concat(blocks).subarray(0, sizeBytes);
}
