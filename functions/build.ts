// Makes one function ready to be uploaded: `node functions/build.ts request-handler DIRECTORY`. `sam build` does so by the Makefile.
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build, type Metafile, type Plugin } from 'esbuild';

const ROOT = join(import.meta.dirname, '..');

/** How those get their credentials no page of AWS says, so they look everywhere. Their size is of no matter: no pull waits for them. */
const WEB_FUNCTIONS = ['push-endpoint'];

/**
 * The SDK describes every operation of a service, S3 has more than a hundred, in arrays that esbuild dares not drop, as they
 * have computed keys. Told that making them changes nothing, it keeps those of the operations that are used.
 */
const dropsUnusedSchemas: Plugin = {
  name: 'drops-unused-schemas',
  setup({ onLoad }) {
    onLoad({ filter: /@aws-sdk[/]client-[^/]+[/]dist-es[/]schemas[/]schemas_\d+[.]js$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      return {
        contents: source.replace(/^((?:export )?var \S+ = )(\[[\s\S]*?\]);$/gm, '$1/* @__PURE__ */ (() => $2)();'),
      };
    });
  },
};

/** Of `package.json` functions ask for the version alone, and a default import brings all of it. */
const keepsVersionAlone: Plugin = {
  name: 'keeps-version-alone',
  setup({ onLoad }) {
    onLoad({ filter: /[/]package[.]json$/ }, async ({ path }) => {
      if (path !== join(ROOT, 'package.json')) return undefined;
      const { version } = JSON.parse(await readFile(path, 'utf8')) as { version: string };
      return { contents: JSON.stringify({ version }), loader: 'json' };
    });
  },
};

/**
 * Bundles with all that it imports, the AWS SDK included: what was tested is what runs, whichever SDK the runtime has.
 * What is imported only when it is needed stays in files of its own. The entry is `index.js`, where both kinds of Lambda
 * look for it.
 */
export async function buildFunction(name: string, directory: string): Promise<Metafile> {
  await mkdir(directory, { recursive: true });
  const { metafile } = await build({
    entryPoints: { index: join(ROOT, 'functions', `${name}.ts`) },
    outdir: directory,
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    mainFields: ['module', 'main'],
    ...(!WEB_FUNCTIONS.includes(name) && {
      alias: { '@aws-sdk/credential-provider-node': join(ROOT, 'functions/lambda-credentials.ts') },
    }),
    plugins: [dropsUnusedSchemas, keepsVersionAlone],
    legalComments: 'none',
    // The log then names lines of the sources. Node reads a map when the first error is written, and not before.
    sourcemap: 'linked',
    sourcesContent: false,
    // What is no ES module asks for Node's own modules by `require`, which there is none of in one.
    banner: { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" },
    logLevel: 'warning',
    absWorkingDir: ROOT,
    metafile: true,
  });
  await writeFile(join(directory, 'package.json'), '{ "type": "module" }\n');
  await cp(join(ROOT, 'config.yml'), join(directory, 'config.yml'));
  return metafile;
}

if (import.meta.main) {
  const [name, directory] = process.argv.slice(2);
  if (!name || !directory) throw new Error('usage: node functions/build.ts NAME DIRECTORY');
  await buildFunction(name, directory);
}
