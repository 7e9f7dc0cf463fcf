import { createInterface } from 'node:readline/promises'
import { text } from 'node:stream/consumers'
import { Writable } from 'node:stream'
import { GatewayError } from '../errors.js'

const nothing = (what: string) =>
  new GatewayError('validation_failed', `${what} is read from standard input, and there was none`)

/**
 * What standard input holds, without the line's end that shells put there. Of a terminal nothing is asked.
 */
export async function readSecret(what: string): Promise<string> {
  const secret = process.stdin.isTTY
    ? await prompt(`${what}: `)
    : (await text(process.stdin)).replace(/\r?\n$/, '')
  if (secret === '') throw nothing(what)
  return secret
}

/** Asks on the terminal and shows nothing of what is typed. */
async function prompt(question: string): Promise<string> {
  process.stderr.write(question)
  const unseen = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input: process.stdin, output: unseen, terminal: true })
  try {
    return await new Promise<string>((resolve, reject) => {
      terminal.once('SIGINT', () => reject(new Error('Nothing was changed.')))
      terminal.once('close', () => reject(nothing('What was asked for')))
      terminal.question('').then(resolve, reject)
    })
  } finally {
    terminal.close()
    process.stderr.write('\n')
  }
}

/** A new password: from a terminal twice, as nobody sees what they type. */
export async function readNewPassword(): Promise<string> {
  const password = await readSecret('New password')
  if (process.stdin.isTTY && (await readSecret('The same once more')) !== password) {
    throw new GatewayError('validation_failed', 'The password must be the same both times')
  }
  return password
}

/**
 * Asks on the terminal; an empty answer is the one that is offered. Rejects where there is no terminal to ask
 * on.
 */
export async function ask(question: string, offered = ''): Promise<string> {
  if (!process.stdin.isTTY) throw nothing(question)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = (await terminal.question(`${question}${offered === '' ? '' : ` [${offered}]`}: `)).trim()
    return answer === '' ? offered : answer
  } finally {
    terminal.close()
  }
}

/** Whether somebody on the terminal types `name` when asked to. Without a terminal nobody can: false. */
export async function confirmName(name: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return (await terminal.question(`This cannot be undone. Type ${name} to go on: `)) === name
  } finally {
    terminal.close()
  }
}
