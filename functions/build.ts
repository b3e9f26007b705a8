// Makes one function ready to be uploaded: `node functions/build.ts api DIRECTORY`. `sam build` does so by the Makefile.
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build, type Metafile } from 'esbuild';

const ROOT = join(import.meta.dirname, '..');

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
    alias: { '@aws-sdk/credential-provider-node': join(ROOT, 'functions/lambda-credentials.ts') },
    legalComments: 'none',
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
