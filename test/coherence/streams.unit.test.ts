import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { createStreams, type OpenStream, type Streams } from '../../src/coherence/streams.js'

let streams: Streams
let hasLease: boolean
beforeEach(() => {
  hasLease = true
  streams = createStreams({ holdsLease: () => hasLease })
})
afterEach(() => streams.stop())

/**
 * A stream that says what is asked of it; its decisions are allowed until `refuses`, and take as long as
 * `hold` says.
 */
function stream(dependsOn: string[]) {
  const said: string[] = []
  const one = {
    said,
    refuses: false,
    keys: dependsOn,
    hold: undefined as Promise<void> | undefined,
    open: {
      dependsOn,
      cut: () => said.push('cut'),
      drain: () => said.push('drain'),
    } as unknown as OpenStream,
  }
  one.open.decide = async () => {
    said.push('decide')
    await one.hold
    if (one.refuses) throw new Error('refused')
    return one.keys
  }
  return one
}

it('decides affected streams again, and cuts refused ones, before it acknowledges a change', async () => {
  const [first, second, other] = [stream(['a', 'b']), stream(['b']), stream(['c'])]
  for (const one of [first, second, other]) streams.open(one.open, streams.era())
  second.refuses = true
  await streams.drop(['b'])
  expect([first.said, second.said, other.said]).toEqual([['decide'], ['decide', 'cut'], []])
  expect(streams.count()).toBe(2)
  await streams.drop(['*'])
  expect([first.said, second.said, other.said]).toEqual([['decide', 'decide'], ['decide', 'cut'], ['decide']])
})

it('forgets streams that have ended: a later change of their keys decides nothing', () => {
  const [one, another] = [stream(['a', 'b']), stream(['b'])]
  const passages = [one, another].map(({ open }) => streams.open(open, streams.era()))
  passages[0]!.close()
  expect(streams.drop(['a'])).toBeUndefined()
  expect(streams.drop(['b'])).toBeInstanceOf(Promise)
  passages[1]!.close()
  expect(streams.drop(['b'])).toBeUndefined()
  expect(streams.count()).toBe(0)
  expect(one.said).toEqual([])
})

it('passes nothing while a stream is being decided, nor without a lease', async () => {
  const one = stream(['a'])
  const passage = streams.open(one.open, streams.era())
  expect(passage.isOpen()).toBe(true)
  let allow: () => void = () => undefined
  one.hold = new Promise((resolve) => {
    allow = resolve
  })
  const dropped = streams.drop(['a'])
  expect(passage.isOpen()).toBe(false)
  allow()
  await dropped
  expect(passage.isOpen()).toBe(true)
  hasLease = false
  expect(passage.isOpen()).toBe(false)
})

it('decides once more a stream whose keys changed while it was being decided', async () => {
  const one = stream(['a'])
  const era = streams.era()
  expect(streams.drop(['a'])).toBeUndefined()
  expect([streams.isCurrent(era), streams.isCurrent(streams.era())]).toEqual([false, true])
  let allow: () => void = () => undefined
  one.hold = new Promise((resolve) => {
    allow = resolve
  })
  const passage = streams.open(one.open, era)
  expect(one.said).toEqual(['decide'])
  const dropped = streams.drop(['a'])
  allow()
  await dropped
  await passage.wait()
  expect(one.said.length).toBeGreaterThanOrEqual(2)
})

it('decides once more if the decision depends on a key that changed meanwhile', async () => {
  const one = stream(['a'])
  const passage = streams.open(one.open, streams.era())
  let allow: () => void = () => undefined
  one.hold = new Promise((resolve) => {
    allow = resolve
  })
  one.keys = ['a', 'new']
  const dropped = streams.drop(['a'])
  expect(streams.drop(['new'])).toBeUndefined() // nobody depends on it, as far as is known
  allow()
  await dropped
  await passage.wait()
  // by the drop, by what was missed, by the wait
  expect(one.said.filter((word) => word === 'decide').length).toBeGreaterThanOrEqual(3)
})

it('a slow decision does not delay a writer, and the stream passes nothing until it is made', async () => {
  const one = stream(['a'])
  const passage = streams.open(one.open, streams.era())
  let allow: () => void = () => undefined
  one.hold = new Promise((resolve) => {
    allow = resolve
  })
  const begun = performance.now()
  await streams.drop(['a'])
  expect(performance.now() - begun).toBeLessThan(2000)
  expect(passage.isOpen()).toBe(false)
  one.refuses = true
  allow()
  await expect(passage.wait()).rejects.toThrow()
  expect(one.said).toEqual(['decide', 'cut'])
})

it('passes nothing more of a stream that ended while it was being decided', async () => {
  const one = stream(['a'])
  const passage = streams.open(one.open, streams.era())
  let allow: () => void = () => undefined
  one.hold = new Promise((resolve) => {
    allow = resolve
  })
  const [next, other] = [passage.wait(), passage.wait()]
  passage.close()
  allow()
  await expect(next).rejects.toThrow()
  await expect(other).rejects.toThrow()
  expect(one.said).toEqual(['decide'])
  await expect(passage.wait()).rejects.toThrow()
  expect(passage.isOpen()).toBe(false)
})

it('decides all streams again if the changes are unknown', async () => {
  const one = stream(['a'])
  const era = streams.era()
  streams.open(one.open, era)
  streams.flush()
  expect(streams.isCurrent(era)).toBe(false)
  await pause(0)
  expect(one.said).toEqual(['decide'])
})

it('decides all streams again, from time to time, without a lease', async () => {
  const one = stream(['a'])
  streams.open(one.open, streams.era())
  await pause(700)
  expect(one.said).toEqual([])
  hasLease = false
  one.refuses = true
  await pause(700)
  expect(one.said).toEqual(['decide', 'cut'])
  expect(streams.isCurrent(streams.era())).toBe(false)
})

it('notifies open streams that the process is about to end, and those that begin then', () => {
  const [one, another] = [stream(['a']), stream(['a'])]
  streams.open(one.open, streams.era())
  streams.drain()
  streams.open(another.open, streams.era())
  expect([one.said, another.said]).toEqual([['drain'], ['drain']])
})
