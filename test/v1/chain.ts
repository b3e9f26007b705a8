import { gzipSync } from 'node:zlib';
import { tar } from '../support/tar.ts';
import type { V1Image } from '../support/v1-client.ts';

/** The chain of a real `ubuntu:14.04`, base first. */
const IDS = [
  '511136ea3c5a64f264b78b5433614aec563103b4d4702f3ba7d4d2698e22c158',
  '5e66087f3ffe002664507d225d07b6929843c3f0299f5335a70c1727c8833737',
  '4d26dd3ebc1c823cfa652280eca0230ec411fb6a742983803e49e051fe367efe',
  'd4010efcfd86c7f59f6b83b90e9c66d4cc4d78cd2266e853b95d464ea0eb73e6',
  '99ec81b80c55d906afd8179560fdab0ee93e32c52053816ca1d531597c1ff48f',
  '8aedcdadf14bb95a53f712aace7d0cb657447d24e41831518392d1a2b05d8bf7',
] as const;

export const TOP_ID = IDS[5];

/** A chain of six: an empty directory, gzip of several kinds, a plain tar, a tar without its two zero blocks. */
export function ubuntuChain(): V1Image[] {
  const layers = [
    gzipSync(tar([{ path: './' }])),
    gzipSync(tar([{ path: 'etc/' }, { path: 'etc/issue', content: Buffer.from('Ubuntu 14.04 LTS\n') }])),
    tar([{ path: 'etc/hostname', content: Buffer.from('plain\n') }]),
    gzipSync(tar([{ path: 'usr/' }, { path: 'usr/data', content: Buffer.alloc(300_000, 'stowage ') }])),
    gzipSync(tar([{ path: 'etc/motd', content: Buffer.from('no trailer\n') }]).subarray(0, -1024)),
    gzipSync(tar([{ path: 'root/' }, { path: 'root/top', content: Buffer.from('top\n') }])),
  ];
  return layers.map((layer, index) => ({ id: idAt(index), json: imageJson(index, layer.length), layer }));
}

function idAt(index: number): string {
  const id = IDS[index];
  if (id === undefined) throw new Error(`the chain has no image ${index}`);
  return id;
}

function imageJson(index: number, sizeBytes: number): Uint8Array {
  const config = {
    Hostname: 'a7f1e1b4b7f4',
    Env: ['HOME=/', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    Cmd: ['/bin/bash'],
    Entrypoint: null,
    ExposedPorts: { '80/tcp': {} },
    Labels: { maintainer: 'Zoë <zoe@example.com>' },
    Volumes: null,
    WorkingDir: '/root',
  };
  return Buffer.from(
    JSON.stringify({
      id: idAt(index),
      ...(index > 0 && { parent: idAt(index - 1) }),
      created: `2014-05-15T02:37:5${index}.21802123Z`,
      container: 'f8ba3a1e4a1b4d6b9d0ad5a5b7ea0a4f6b0bdd6b0a7c0f6d5b2b3a8d7c6e5f40',
      container_config: { ...config, Cmd: ['/bin/sh', '-c', `#(nop) step ${index}`] },
      docker_version: '0.10.0',
      author: 'Zoë',
      config,
      architecture: 'amd64',
      os: 'linux',
      Size: sizeBytes,
    }),
  );
}
