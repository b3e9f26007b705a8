import { createInterface } from 'node:readline';
import { type Readable, Writable } from 'node:stream';
import { decodeText, readAll } from '../streams/bytes.ts';

/** Where questions are asked: standard input and standard error, or a test's. */
export type Terminal = {
  input: Readable & { isTTY?: boolean };
  output: { write(text: string): unknown };
};

const PROCESS: Terminal = { input: process.stdin, output: process.stderr };

/**
 * Asks for a password on a terminal, without showing it; from anything else reads the first line.
 * @throws Error if the answer is broken off
 */
export async function readPassword(name: string, terminal = PROCESS): Promise<string> {
  const [password = ''] = await readHidden([`Password of ${name}: `], terminal);
  return password;
}

/**
 * The same for a password that nobody can check yet: on a terminal it is asked for twice.
 * @throws Error if the answers differ or are broken off
 */
export async function readNewPassword(name: string, terminal = PROCESS): Promise<string> {
  const [password = '', again = password] = await readHidden(
    [`New password of ${name}: `, 'The same once more: '],
    terminal,
  );
  if (again !== password) throw new Error('the two passwords differ: nothing was changed');
  return password;
}

/** An answer to each prompt; only one where there is nobody to ask. */
async function readHidden(prompts: readonly string[], { input, output }: Terminal): Promise<string[]> {
  if (!input.isTTY)
    return decodeText(await readAll(input))
      .split(/\r?\n/)
      .slice(0, 1);
  // Node's readline edits the line as on any terminal; it shows what it does to nobody.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const readline = createInterface({ input, output: nowhere, terminal: true, historySize: 0 });
  // By itself it ends at Ctrl-D on an empty line only: but who can see what the line holds?
  const endAtControlD = (_: unknown, { ctrl, name }: { ctrl?: boolean; name?: string }) => {
    if (ctrl && name === 'd') readline.close();
  };
  input.on('keypress', endAtControlD);
  try {
    // One interface for all prompts, because it may have read more than a line already.
    const lines = readline[Symbol.asyncIterator]();
    const answers: string[] = [];
    for (const prompt of prompts) {
      output.write(prompt);
      const { value, done } = await lines.next();
      output.write('\n');
      if (done) throw new Error('broken off: nothing was changed');
      answers.push(value);
    }
    return answers;
  } finally {
    input.off('keypress', endAtControlD);
    readline.close();
  }
}
