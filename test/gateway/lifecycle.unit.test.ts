import { describe, expect, it } from '@jest/globals'
import { Lifecycle } from '../../src/gateway/lifecycle.js'

describe('a lifecycle', () => {
  it('stops its parts in the opposite order, each after the one before has stopped', async () => {
    const lifecycle = new Lifecycle()
    const steps: string[] = []
    for (const name of ['database', 'node', 'server']) {
      const part = await lifecycle.start(
        name,
        () => name.toUpperCase(),
        async (started) => {
          steps.push(`${started} stops`)
          await Promise.resolve()
          steps.push(`${started} stopped`)
        },
      )
      expect(part).toBe(name.toUpperCase())
    }
    await lifecycle.stop(() => undefined)
    expect(steps).toEqual([
      'SERVER stops',
      'SERVER stopped',
      'NODE stops',
      'NODE stopped',
      'DATABASE stops',
      'DATABASE stopped',
    ])
  })

  it('reports a part that cannot stop, and stops the others', async () => {
    const lifecycle = new Lifecycle()
    const stopped: string[] = []
    const reported: [string, unknown][] = []
    const fault = new Error('stuck')
    lifecycle.onStop('first', () => stopped.push('first'))
    lifecycle.onStop('rejects', () => Promise.reject(fault))
    lifecycle.onStop('throws', () => {
      throw fault
    })
    await lifecycle.stop((part, error) => reported.push([part, error]))
    expect(stopped).toEqual(['first'])
    expect(reported).toEqual([
      ['throws', fault],
      ['rejects', fault],
    ])
  })

  it('stops each part once, however often it is asked to', async () => {
    const lifecycle = new Lifecycle()
    let stops = 0
    lifecycle.onStop('part', () => (stops += 1))
    await Promise.all([lifecycle.stop(() => undefined), lifecycle.stop(() => undefined)])
    await lifecycle.stop(() => undefined)
    expect(stops).toBe(1)
  })

  it('does not register a part that could not start', async () => {
    const lifecycle = new Lifecycle()
    let stops = 0
    await expect(
      lifecycle.start(
        'part',
        () => Promise.reject(new Error('no')),
        () => (stops += 1),
      ),
    ).rejects.toThrow('no')
    await lifecycle.stop(() => undefined)
    expect(stops).toBe(0)
  })
})
