import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from '@jest/globals'
import ts from 'typescript'
import { z } from 'zod'
import { textsIn } from '../../src/domain/languages.js'
import { fieldError, reason, reasonIn, reasonOf } from '../../src/domain/reasons.js'

const root = path.resolve(import.meta.dirname, '../../src')
/** Where the schemas of requests are; those of the configuration and of files are for operators alone. */
const rooms = [
  'audit',
  'authentication',
  'authorization',
  'context',
  'directory',
  'http',
  'login',
  'oauth',
  'portal',
  'system',
]

async function sourcesIn(folder: string): Promise<ts.SourceFile[]> {
  const files = await readdir(path.join(root, folder), { recursive: true })
  return await Promise.all(
    files
      .filter((file) => file.endsWith('.ts'))
      .map(async (file) => {
        const name = path.join(folder, file)
        return ts.createSourceFile(
          name,
          await readFile(path.join(root, name), 'utf8'),
          ts.ScriptTarget.Latest,
          true,
        )
      }),
  )
}

/** The checks of zod whose refusals say nothing of themselves but the message that they are given. */
const silent = new Set(['regex', 'refine', 'startsWith', 'endsWith', 'check', 'custom'])

function sentencesOf(source: ts.SourceFile): string[] {
  const found: string[] = []
  const note = (node: ts.Node) => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart())
    found.push(`${source.fileName}:${line + 1} ${node.getText()}`)
  }
  const isText = (node: ts.Node | undefined) =>
    node !== undefined && (ts.isStringLiteralLike(node) || ts.isTemplateExpression(node))
  const visit = (node: ts.Node): void => {
    if (
      ts.isCallExpression(node) &&
      ts.isPropertyAccessExpression(node.expression) &&
      silent.has(node.expression.name.text)
    ) {
      const given = node.arguments[1]
      if (isText(given)) note(node)
      if (given && ts.isObjectLiteralExpression(given))
        for (const property of given.properties)
          if (
            ts.isPropertyAssignment(property) &&
            ['message', 'error'].includes(property.name.getText()) &&
            isText(property.initializer)
          )
            note(property)
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

it('each check of a request’s field names its reason by code, and not by a sentence alone', async () => {
  const sources = (await Promise.all(rooms.map(sourcesIn))).flat()
  expect(sources.length).toBeGreaterThan(100)
  expect(sources.flatMap(sentencesOf)).toEqual([])
})

it('each reason is given by some source: no text is kept for nothing', async () => {
  const files = (await readdir(root, { recursive: true })).filter((file) => file.endsWith('.ts'))
  const texts = await Promise.all(files.map((file) => readFile(path.join(root, file), 'utf8')))
  const all = texts.join('\n')
  const made = new Set(['quota_members', 'quota_instances']) // of `quota_${what}`
  const unused = Object.keys(textsIn('en').reasons).filter(
    (code) => !made.has(code) && !all.includes(`'${code}'`),
  )
  expect(unused).toEqual([])
})

describe('what zod refuses', () => {
  const issueOf = (schema: z.ZodType, value: unknown) => {
    const [issue] = schema.safeParse(value).error?.issues ?? []
    if (!issue) throw new Error('the value is valid')
    return issue
  }

  it.each<[string, z.ZodType, unknown, ReturnType<typeof reasonOf>]>([
    ['an empty text', z.string().min(1, 'must not be empty'), '', { code: 'empty', values: {} }],
    ['a short text', z.string().min(3), 'a', { code: 'too_short', values: { min: 3 } }],
    ['a long text', z.string().max(2), 'abc', { code: 'too_long', values: { max: 2 } }],
    ['a small number', z.int().min(0), -1, { code: 'too_low', values: { min: 0 } }],
    ['a large number', z.int().max(9), 10, { code: 'too_high', values: { max: 9 } }],
    ['a long list', z.array(z.string()).max(1), ['a', 'b'], { code: 'too_many', values: { max: 1 } }],
    ['a choice', z.enum(['a', 'b']), 'c', { code: 'choice', values: { choices: ['a', 'b'] } }],
    ['another type', z.string(), 7, { code: 'wrong_type', values: {} }],
    ['more fields', z.strictObject({}), { x: 1 }, { code: 'unknown_fields', values: { names: 'x' } }],
    ['no UUID', z.uuid('must be a UUID'), 'x', { code: 'uuid', values: {} }],
    ['no email address', z.email('must be an email address'), 'x', { code: 'email', values: {} }],
    ['anything else', z.string().refine(() => false), 'x', { code: 'invalid', values: {} }],
  ])('%s has a code with its values', (_, schema, value, expected) => {
    expect(reasonOf(issueOf(schema, value))).toEqual(expected)
  })

  it.each<[string, z.ZodType, unknown]>([
    ['a pattern', z.string().regex(/^a$/, fieldError('item', { example: 'a.b' })), 'b'],
    ['a refinement', z.string().refine(() => false, fieldError('item', { example: 'a.b' })), 'b'],
    ['a format', z.uuid(fieldError('item', { example: 'a.b' })), 'b'],
    ['a union', z.union([z.literal('a'), z.uuid()], fieldError('item', { example: 'a.b' })), 7],
  ])('%s that names its reason has that code, and its English text as the message', (_, schema, value) => {
    const issue = issueOf(schema, value)
    expect(issue.message).toBe('must be a dotted path such as a.b')
    expect(reasonOf(issue)).toMatchObject({ code: 'item', values: { example: 'a.b' } })
  })
})

it('a reason is put into words in each language, and a list of choices with them', () => {
  const choice = reason('choice', { choices: ['a', 'b', 'c'] })
  expect(choice.text).toBe('must be a, b or c')
  expect(reasonIn(choice, 'de')).toBe('muss a, b oder c sein')
  expect(reasonIn({ code: 'of_a_newer_gateway', values: {} }, 'de')).toBeUndefined()
})
