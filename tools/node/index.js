// `node tools/node [OPTION]... [SCRIPT] [ARGUMENT]...` is `node …` with the Node of package-lock.json.
import { runNode } from './run.js';

runNode(process.argv.slice(2));
