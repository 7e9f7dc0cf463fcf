import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { beforeEach, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { createMemory, type Loaded, type Memory } from '../../src/coherence/memory.js'

/** A load that a test answers when it likes. */
function loads() {
  const sent: {
    answer: (value: string, shape?: Partial<Loaded<string>>) => void
    fail: (error: Error) => void
  }[] = []
  const load = () =>
    new Promise<Loaded<string>>((resolve, reject) => {
      sent.push({
        answer: (value, shape = {}) => resolve({ value, keys: ['key'], keep: true, ...shape }),
        fail: reject,
      })
    })
  return { sent, load }
}

const turn = () =>
  new Promise<void>((resolve) => {
    setImmediate(resolve)
  })
const holding =
  <Value>(value: Value, keys: readonly string[], keep = true) =>
  () =>
    Promise.resolve({ value, keys, keep })

describe('memory', () => {
  let leased: boolean
  let memory: Memory

  beforeEach(() => {
    leased = true
    memory = createMemory({ holdsLease: () => leased, maxEntries: 3 })
  })

  const asked = async (load: () => Promise<Loaded<string>>) => await memory.read('a', load)

  it('returns a remembered value at once, without a promise', async () => {
    expect(await memory.read('a', holding('first', ['key']))).toBe('first')
    expect(memory.read('a', holding('second', ['key']))).toBe('first')
    expect(memory.counts()).toEqual({ entries: 1, hits: 1, misses: 1 })
  })

  it('keeps at most the configured number of values, and evicts the least recently used first', async () => {
    for (const name of ['a', 'b', 'c']) await memory.read(name, holding(name, ['key']))
    expect(memory.read('a', holding('again', []))).toBe('a')
    await memory.read('d', holding('d', ['key']))
    expect(memory.counts().entries).toBe(3)
    expect([
      memory.read('a', holding('again', [])),
      memory.read('c', holding('again', [])),
      memory.read('d', holding('again', [])),
    ]).toEqual(['a', 'c', 'd'])
    expect(await memory.read('b', holding('again', ['key']))).toBe('again')
  })

  it('sends one load for all callers that ask meanwhile', async () => {
    const { sent, load } = loads()
    const answers = [asked(load), asked(load), asked(load)]
    await turn()
    expect(sent).toHaveLength(1)
    sent[0]!.answer('found')
    expect(await Promise.all(answers)).toEqual(['found', 'found', 'found'])
    expect(memory.counts()).toEqual({ entries: 1, hits: 0, misses: 1 })
  })

  it('does not keep a value whose load forbids it', async () => {
    expect(await memory.read('a', holding('absent', ['key'], false))).toBe('absent')
    expect(await memory.read('a', holding('present', ['key']))).toBe('present')
  })

  it('neither serves from memory nor joins a load without a lease', async () => {
    await memory.read('kept', holding('old', ['key']))
    const { sent, load } = loads()
    const first = memory.read('a', load)
    leased = false
    const second = memory.read('a', load)
    expect(await memory.read('kept', holding('new', ['key']))).toBe('new')
    await turn()
    expect(sent).toHaveLength(2)
    sent[0]!.answer('first')
    sent[1]!.answer('second')
    expect(await Promise.all([first, second])).toEqual(['first', 'second'])
  })

  it('loads anew for a joiner when the lease ended before the load was answered', async () => {
    const { sent, load } = loads()
    const first = memory.read('a', load)
    const joiner = memory.read('a', load)
    await turn()
    leased = false
    sent[0]!.answer('old')
    await turn()
    expect(sent).toHaveLength(2)
    sent[1]!.answer('new')
    expect(await Promise.all([first, joiner])).toEqual(['old', 'new'])
  })

  it('gives callers who joined a dropped load a load of their own, whenever it was dropped', async () => {
    const { sent, load } = loads()
    const first = memory.read('a', load)
    const before = memory.read('a', load)
    await turn()
    memory.drop(['key'])
    const after = memory.read('a', load)
    sent[0]!.answer('old')
    await turn()
    expect(await first).toBe('old') // it asked before the change was announced
    for (const { answer } of sent.slice(1)) answer('new')
    expect(await Promise.all([before, after])).toEqual(['new', 'new'])
    expect(memory.read('a', load)).toBe('new')
  })

  it('keeps a load under way when other keys are dropped', async () => {
    const { sent, load } = loads()
    const first = memory.read('a', load)
    await turn()
    memory.drop(['another'])
    sent[0]!.answer('found')
    await first
    expect(memory.read('a', load)).toBe('found')
  })

  it('drops by key all values that depend on it, and no others', async () => {
    await memory.read('a', holding('a', ['user:1', 'mandate:1']))
    await memory.read('b', holding('b', ['user:2', 'mandate:1']))
    await memory.read('c', holding('c', ['user:2', 'mandate:2']))
    memory.drop(['user:1'])
    expect(memory.counts().entries).toBe(2)
    memory.drop(['mandate:1', 'unheard of'])
    expect(memory.counts().entries).toBe(1)
    expect(memory.read('c', holding('again', []))).toBe('c')
  })

  it.each([
    ['the key *', () => memory.drop(['user:1', '*'])],
    ['a flush', () => memory.flush()],
  ])('forgets everything, loads under way included, at %s', async (_what, forget) => {
    await memory.read('kept', holding('kept', ['key']))
    const { sent, load } = loads()
    const first = memory.read('a', load)
    const joiner = memory.read('a', load)
    await turn()
    forget()
    const afterwards = memory.read('a', load)
    await turn()
    expect(sent).toHaveLength(2) // nobody joins what was sent before
    sent[0]!.answer('old', { keys: [] })
    await turn()
    for (const { answer } of sent.slice(1)) answer('new')
    expect(await Promise.all([first, joiner, afterwards])).toEqual(['old', 'new', 'new'])
    expect(memory.counts().entries).toBe(1)
  })

  it('remembers absence by the same rule', async () => {
    const { sent, load } = loads()
    const first = memory.read('a', load)
    await turn()
    memory.drop(['key'])
    sent[0]!.answer('absent')
    await first
    expect(memory.counts().entries).toBe(0)
    expect(await memory.read('a', holding('absent', ['key']))).toBe('absent')
    expect(memory.read('a', holding('present', ['key']))).toBe('absent')
    memory.drop(['key'])
    expect(await memory.read('a', holding('present', ['key']))).toBe('present')
  })

  it('does not remember a rejected load, and the next caller sends another', async () => {
    const { sent, load } = loads()
    const answers = [asked(load), asked(load)]
    await turn()
    sent[0]!.fail(new Error('away'))
    expect(await Promise.allSettled(answers)).toEqual([
      expect.objectContaining({ status: 'rejected' }),
      expect.objectContaining({ status: 'rejected' }),
    ])
    expect(memory.counts().entries).toBe(0)
    expect(await memory.read('a', holding('there', ['key']))).toBe('there')
  })

  it('treats a load that throws as one that is rejected', async () => {
    await expect(
      Promise.resolve(
        memory.read('a', () => {
          throw new Error('away')
        }),
      ),
    ).rejects.toThrow('away')
    expect(await memory.read('a', holding('there', ['key']))).toBe('there')
  })

  it('is replaced by the later of two loads, whose keys count from then on', async () => {
    leased = false
    const first = loads()
    const second = loads()
    const answers = [asked(first.load), asked(second.load)]
    await turn()
    first.sent[0]!.answer('first', { keys: ['one'] })
    await turn()
    second.sent[0]!.answer('second', { keys: ['two'] })
    await Promise.all(answers)
    leased = true
    memory.drop(['one'])
    expect(memory.read('a', first.load)).toBe('second')
    memory.drop(['two'])
    expect(memory.counts().entries).toBe(0)
  })

  it('finds what depends on a key after any number of evictions, drops and replacements', async () => {
    const name = fc.integer({ min: 0, max: 6 }).map((n) => `name ${n}`)
    const key = fc.integer({ min: 0, max: 4 }).map((n) => `key ${n}`)
    const step = fc.oneof(
      fc.record({ read: name, keys: fc.uniqueArray(key, { maxLength: 3 }) }),
      fc.record({ drop: fc.uniqueArray(key, { minLength: 1, maxLength: 2 }) }),
      fc.constant({ flush: true }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const small = createMemory({ holdsLease: () => true, maxEntries: 3 })
        let model: { name: string; keys: string[] }[] = []
        for (const one of steps) {
          if ('flush' in one) {
            small.flush()
            model = []
          } else if ('drop' in one) {
            small.drop(one.drop)
            model = model.filter(({ keys }) => !keys.some((each) => one.drop.includes(each)))
          } else {
            const found = model.find((entry) => entry.name === one.read) ?? { name: one.read, keys: one.keys }
            await small.read(one.read, holding(0, one.keys))
            model = [...model.filter((entry) => entry !== found), found].slice(-3)
          }
          expect(small.counts().entries).toBe(model.length)
        }
      }),
    )
  })

  it('holds on to no key of what it has forgotten', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const heapAfter = () => {
      collect()
      return process.memoryUsage().heapUsed
    }
    const grown = createMemory({ holdsLease: () => true, maxEntries: 10 })
    const before = heapAfter()
    // Each value has a key of its own, 2 kB long: kept, they would be 40 MB.
    for (let n = 0; n < 20_000; n += 1)
      await grown.read(`name ${n}`, holding(n, [Buffer.alloc(2000, `${n} `).toString('latin1')]))
    expect(grown.counts().entries).toBe(10)
    expect(heapAfter() - before).toBeLessThan(10_000_000)
  })
})
