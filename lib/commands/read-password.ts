import { decodeText, readAll } from '../bytes.ts';

const ENTER = ['\r', '\n'];
const BACKSPACE = ['\b', '\x7f'];
const INTERRUPT = '\x03';

/**
 * Asks for a password on a terminal, without showing it; from anything else reads the first line.
 * @throws Error if the answer is broken off
 */
export async function readPassword(prompt: string): Promise<string> {
  const { stdin } = process;
  if (!stdin.isTTY) return decodeText(await readAll(stdin)).split(/\r?\n/)[0] ?? '';
  process.stderr.write(prompt);
  stdin.setRawMode(true);
  try {
    let password: string[] = [];
    for await (const chunk of stdin.setEncoding('utf8')) {
      for (const letter of String(chunk)) {
        if (ENTER.includes(letter)) return password.join('');
        if (letter === INTERRUPT) throw new Error('broken off');
        password = BACKSPACE.includes(letter) ? password.slice(0, -1) : [...password, letter];
      }
    }
    throw new Error('broken off');
  } finally {
    stdin.setRawMode(false);
    process.stderr.write('\n');
  }
}
