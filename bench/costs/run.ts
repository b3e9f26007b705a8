// `npm run costs`: counts what a push and a pull take, and writes docs/costs.md.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { measure } from './measure.ts';
import { costsDocument } from './report.ts';

const document = costsDocument(await measure(), new Date().toISOString().slice(0, 10));
writeFileSync(join(import.meta.dirname, '../../docs/costs.md'), document);
console.log(document);
