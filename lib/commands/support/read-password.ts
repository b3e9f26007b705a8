import { createInterface } from 'node:readline';
import { type Readable, Writable } from 'node:stream';
import { decodeText, readAll } from '../../streams/bytes.ts';

/** Streams for prompts and answers: standard input and standard error by default. */
export type Terminal = {
  input: Readable & { isTTY?: boolean };
  output: { write(text: string): unknown };
};

const PROCESS: Terminal = { input: process.stdin, output: process.stderr };

/**
 * Asks for a password on a terminal without echo; if input is no terminal, reads its first line.
 * @param name of the user, for the prompt
 * @throws Error if the operator ends the input
 */
export async function readPassword(name: string, terminal = PROCESS): Promise<string> {
  const [password = ''] = await readHidden([`Password of ${name}: `], terminal);
  return password;
}

/**
 * As `readPassword`, for a new password: on a terminal it is asked for twice.
 * @throws Error if the two answers differ, or the operator ends the input
 */
export async function readNewPassword(name: string, terminal = PROCESS): Promise<string> {
  const [password = '', again = password] = await readHidden(
    [`New password of ${name}: `, 'Repeat the password: '],
    terminal,
  );
  if (again !== password) throw new Error('the two passwords differ: nothing was changed');
  return password;
}

/** One answer for each prompt; if input is no terminal, its first line alone. */
async function readHidden(prompts: readonly string[], { input, output }: Terminal): Promise<string[]> {
  if (!input.isTTY)
    return decodeText(await readAll(input))
      .split(/\r?\n/)
      .slice(0, 1);
  // readline handles editing keys; its echo is discarded.
  const discard = new Writable({ write: (_chunk, _encoding, done) => done() });
  const readline = createInterface({ input, output: discard, terminal: true, historySize: 0 });
  // readline ends at Ctrl-D on an empty line only, but the operator cannot see whether the hidden line is empty.
  const endAtControlD = (_: unknown, { ctrl, name }: { ctrl?: boolean; name?: string }) => {
    if (ctrl && name === 'd') readline.close();
  };
  input.on('keypress', endAtControlD);
  try {
    // One interface for all prompts, because it may have buffered more than one line.
    const lines = readline[Symbol.asyncIterator]();
    const answers: string[] = [];
    for (const prompt of prompts) {
      output.write(prompt);
      const { value, done } = await lines.next();
      output.write('\n');
      if (done) throw new Error('the input ended before an answer: nothing was changed');
      answers.push(value);
    }
    return answers;
  } finally {
    input.off('keypress', endAtControlD);
    readline.close();
  }
}
