// The ids, ancestries and tags of a real registry. Of 12.10, 13.04 and centos 6.4 only the ids are known, so their order in the
// ancestries is invented.

export const BASE_ID = '511136ea3c5a64f264b78b5433614aec563103b4d4702f3ba7d4d2698e22c158';

/** The ancestry of each tagged image, by release: the image first, its base last. */
export const ANCESTRIES = {
  '12.10': [
    'f030997216f3f605c3db2e60fac9a327910f30319b3fae95a457f87801bc2734',
    'a7cf8ae4e998c5339e769d6cc466f9133bd4d330a549bb846cb1641cd638247c',
    'cf8dc907452c970224551599da573c9e32897fc65286d942625c4c86dabd680d',
    '07302703beccc2ea25f34333decad32ed06446e8a14c020ffbd0be017364b9fe',
    'ef519c9ee91a06fc33cefbda1bce27686617761700252dff0397f2c0e269f3c5',
    BASE_ID,
  ],
  '13.04': [
    '514b348987eff7991ad24b3fa26838f9768f41a618a1f78c8a4e6d5382b14df9',
    '316b678ddf487a37012630ae3219c8bb78c1f4b58d31c9513c3ea6b88f9e5635',
    'cb12405ee8fa58aa11f2a2fe5ab98430fefdf330ce1a9bd37ba800abc14b9ca1',
    'e7206bfc66aac0ab946eb11dad1271f4f5f3f72ab65cff66b4092aeaee20475b',
    '02dae1c13f51edae0a9817e01dcbbad380c1b31933779641e5f733958af5d8d5',
    BASE_ID,
  ],
  '13.10': [
    '7c0d7c261905a9fe83d1aea4037a265058f47e1e3e1134daac879393741cc016',
    '5e019ab7bf6deb75b211411ef7257d1e76bf7edee31d9da62a392df98d0529d6',
    '2209cbf9dcd35615211a2fdc6762bb5e651b5c847537359f05b9ab1bc9a74614',
    'f0ee64c4df74c766a16faebfb5123e2b67192eff4a82aa70d0d2081681200a79',
    'e2aa6665d37109cd6d196eec32c98d8f4412325cb2dc1588e5eb27cae4beb836',
    BASE_ID,
  ],
  '14.04': [
    '8aedcdadf14bb95a53f712aace7d0cb657447d24e41831518392d1a2b05d8bf7',
    '99ec81b80c55d906afd8179560fdab0ee93e32c52053816ca1d531597c1ff48f',
    'd4010efcfd86c7f59f6b83b90e9c66d4cc4d78cd2266e853b95d464ea0eb73e6',
    '4d26dd3ebc1c823cfa652280eca0230ec411fb6a742983803e49e051fe367efe',
    '5e66087f3ffe002664507d225d07b6929843c3f0299f5335a70c1727c8833737',
    BASE_ID,
  ],
  'centos 6.4': ['539c0211cd76cdeaedbecf9f023ef774612e331137ce7ebe4ae1b61088e7edbe'],
  'centos 6.5': [
    '0b443ba0395813ef287c27f5ff953121a69ab23c467ffbefcefaec3f255e0693',
    '7064731afe90d78da2c117d64a1221c826234cd7145fd330ae7e207ff5606980',
    BASE_ID,
  ],
} as const;

export type Release = keyof typeof ANCESTRIES;

export const UBUNTU_TAGS: Readonly<Record<string, string>> = {
  '12.10': ANCESTRIES['12.10'][0],
  '13.04': ANCESTRIES['13.04'][0],
  '13.10': ANCESTRIES['13.10'][0],
  '14.04': ANCESTRIES['14.04'][0],
  latest: ANCESTRIES['14.04'][0],
  quantal: ANCESTRIES['12.10'][0],
  raring: ANCESTRIES['13.04'][0],
  saucy: ANCESTRIES['13.10'][0],
  trusty: ANCESTRIES['14.04'][0],
};

export const CENTOS_TAGS: Readonly<Record<string, string>> = {
  '6.4': ANCESTRIES['centos 6.4'][0],
  '6.5': ANCESTRIES['centos 6.5'][0],
  latest: ANCESTRIES['centos 6.5'][0],
};

/** In the order of the real `_index_images`. It came from a Python dict and has no meaning. */
export const UBUNTU_INDEX: readonly string[] = [
  'e7206bfc66aac0ab946eb11dad1271f4f5f3f72ab65cff66b4092aeaee20475b',
  'd4010efcfd86c7f59f6b83b90e9c66d4cc4d78cd2266e853b95d464ea0eb73e6',
  '511136ea3c5a64f264b78b5433614aec563103b4d4702f3ba7d4d2698e22c158',
  'cb12405ee8fa58aa11f2a2fe5ab98430fefdf330ce1a9bd37ba800abc14b9ca1',
  '2209cbf9dcd35615211a2fdc6762bb5e651b5c847537359f05b9ab1bc9a74614',
  'cf8dc907452c970224551599da573c9e32897fc65286d942625c4c86dabd680d',
  '02dae1c13f51edae0a9817e01dcbbad380c1b31933779641e5f733958af5d8d5',
  '316b678ddf487a37012630ae3219c8bb78c1f4b58d31c9513c3ea6b88f9e5635',
  '7c0d7c261905a9fe83d1aea4037a265058f47e1e3e1134daac879393741cc016',
  '8aedcdadf14bb95a53f712aace7d0cb657447d24e41831518392d1a2b05d8bf7',
  '99ec81b80c55d906afd8179560fdab0ee93e32c52053816ca1d531597c1ff48f',
  '07302703beccc2ea25f34333decad32ed06446e8a14c020ffbd0be017364b9fe',
  '4d26dd3ebc1c823cfa652280eca0230ec411fb6a742983803e49e051fe367efe',
  'e2aa6665d37109cd6d196eec32c98d8f4412325cb2dc1588e5eb27cae4beb836',
  '5e66087f3ffe002664507d225d07b6929843c3f0299f5335a70c1727c8833737',
  '5e019ab7bf6deb75b211411ef7257d1e76bf7edee31d9da62a392df98d0529d6',
  'ef519c9ee91a06fc33cefbda1bce27686617761700252dff0397f2c0e269f3c5',
  'f0ee64c4df74c766a16faebfb5123e2b67192eff4a82aa70d0d2081681200a79',
  '514b348987eff7991ad24b3fa26838f9768f41a618a1f78c8a4e6d5382b14df9',
  'a7cf8ae4e998c5339e769d6cc466f9133bd4d330a549bb846cb1641cd638247c',
  'f030997216f3f605c3db2e60fac9a327910f30319b3fae95a457f87801bc2734',
];

export const CENTOS_INDEX: readonly string[] = [...ANCESTRIES['centos 6.4'], ...ANCESTRIES['centos 6.5']];

/** The real `tag14.04_json`. */
export const TAG_JSON_OF_14_04 =
  '{"kernel": "3.13.0-24-generic", "arch": "amd64", "docker_go_version": "go1.2.1", "last_update": 1400116767, "docker_version": "0.11.1", "os": "linux"}';
