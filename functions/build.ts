// Bundles one function for upload: `node functions/build.ts request-handler DIRECTORY`. `sam build` calls it through the Makefile.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import { build, type Metafile, type Plugin } from 'esbuild';
import { parseYaml } from '../lib/config/yaml.ts';
import { builtConfiguration } from './built-configuration.ts';

const ROOT = join(import.meta.dirname, '..');

/**
 * AWS does not document where a Web Function finds its credentials, so these keep the full provider chain. Bundle size does
 * not matter here: no pull waits for them.
 */
const WEB_FUNCTIONS = ['push-endpoint'];

/** Take their requests as events and give their answers as results, so that no other program sees their Request and Response. */
const WITH_OWN_FETCH_CLASSES = ['request-handler', 'ui'];

/**
 * The SDK describes each of S3's more than one hundred operations in an array with computed keys, which esbuild cannot drop.
 * Marking the arrays as pure lets esbuild keep only those of the operations in use.
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

/** A default import of `package.json` would bundle all of it; functions need the version only. */
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
 * Imports Node's modules by `process.getBuiltinModule`. An `import` of one evaluates all of its exports, also those that Node makes on
 * first use: that of `node:http` loads undici, which takes longer than all else that a pull loads.
 */
const importsNodeLazily: Plugin = {
  name: 'imports-node-lazily',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[a-z:/_]+$/ }, ({ path, kind }) =>
      isBuiltin(path) ? { path, namespace: kind === 'import-statement' ? 'imported' : 'required' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'required' }, ({ path }) => ({ contents: `module.exports = ${loaded(path)}` }));
    // Of these, esbuild drops the exports that are not imported.
    onLoad({ filter: /./, namespace: 'imported' }, ({ path }) => ({
      contents: [
        `const all = /* @__PURE__ */ (() => ${loaded(path)})();`,
        ...exportsOf(path).map((name) => `export const ${name} = /* @__PURE__ */ (() => all.${name})();`),
        'export default all;',
      ].join('\n'),
    }));
  },
};

function loaded(builtin: string): string {
  return `process.getBuiltinModule(${JSON.stringify(builtin)})`;
}

function exportsOf(builtin: string): string[] {
  return Object.keys(process.getBuiltinModule(builtin) ?? {}).filter((name) => name !== 'default');
}

/**
 * Puts all that an entry loads at its start into one chunk, as Node takes up to a millisecond to load each. Without this, esbuild puts
 * modules that are also used by a dynamic import into chunks of their own, one for each set of such users. So each module that is
 * imported dynamically imports what the entry imports, which has been loaded before.
 * @param entry path of its module
 */
function startsWithOneChunk(entry: string): Plugin {
  return {
    name: 'starts-with-one-chunk',
    async setup({ onResolve, onLoad, resolve }) {
      const atStart = (await importsOf(entry)).map((path) => join(dirname(entry), path));
      onResolve({ filter: /^[.]{1,2}[/].*[.]ts$/ }, async ({ kind, path, importer, resolveDir }) => {
        if (kind !== 'dynamic-import') return undefined;
        const found = await resolve(path, { kind: 'import-statement', importer, resolveDir });
        return { path: found.path, namespace: 'on-demand' };
      });
      onLoad({ filter: /./, namespace: 'on-demand' }, ({ path }) => ({
        contents: [
          ...atStart.map((module) => `import ${JSON.stringify(module)};`),
          `export * from ${JSON.stringify(path)};`,
        ].join('\n'),
        resolveDir: ROOT,
      }));
    },
  };
}

/** The relative paths of the modules that a module imports, apart from dynamic imports and those of types. */
async function importsOf(module: string): Promise<string[]> {
  const importsNothing: Plugin = {
    name: 'imports-nothing',
    setup({ onResolve }) {
      onResolve({ filter: /./ }, ({ kind }) => (kind === 'entry-point' ? undefined : { external: true }));
    },
  };
  const { metafile } = await build({
    entryPoints: [module],
    bundle: true,
    format: 'esm',
    write: false,
    metafile: true,
    plugins: [importsNothing],
  });
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports);
  return imports.flatMap(({ path, kind }) => (kind === 'import-statement' && path.startsWith('.') ? [path] : []));
}

/**
 * Bundles a function with its imports, including the AWS SDK, so that the tested version runs, independent of the SDK in
 * the runtime. Dynamic imports become files of their own. The entry is `index.js`, the default of both kinds of Lambda.
 */
export async function buildFunction(name: string, directory: string): Promise<Metafile> {
  await mkdir(directory, { recursive: true });
  const entry = join(ROOT, 'functions', `${name}.ts`);
  const { metafile } = await build({
    entryPoints: { index: entry },
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
    inject: WITH_OWN_FETCH_CLASSES.includes(name) ? [join(ROOT, 'lib/http/fetch-classes.ts')] : [],
    plugins: [dropsUnusedSchemas, keepsVersionAlone, importsNodeLazily, startsWithOneChunk(entry)],
    legalComments: 'none',
    sourcemap: 'linked', // read by source-lines.ts
    sourcesContent: false,
    logLevel: 'warning',
    absWorkingDir: ROOT,
    metafile: true,
  });
  await writeFile(join(directory, 'package.json'), '{ "type": "module" }\n');
  const text = await readFile(join(ROOT, 'config.yml'), 'utf8');
  for (const [file, content] of Object.entries(builtConfiguration(text, parseYaml(text)))) {
    await writeFile(join(directory, file), content);
  }
  return metafile;
}

if (import.meta.main) {
  const [name, directory] = process.argv.slice(2);
  if (!name || !directory) throw new Error('usage: node functions/build.ts NAME DIRECTORY');
  await buildFunction(name, directory);
}
