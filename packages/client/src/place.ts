const keys = { mandateId: 'mandate-gateway.mandate', instanceId: 'mandate-gateway.instance' } as const

/** Where a tab works: its mandate and, within that, its feature instance. */
export interface Place {
  mandateId: string | undefined
  instanceId: string | undefined
}

/** The place of this tab, in sessionStorage: it outlives a reload, and another tab has one of its own. */
export function currentPlace(): Place {
  return {
    mandateId: sessionStorage.getItem(keys.mandateId) ?? undefined,
    instanceId: sessionStorage.getItem(keys.instanceId) ?? undefined,
  }
}

/** Goes elsewhere. What is not given is left. */
export function choosePlace(place: Partial<Place>): void {
  for (const name of ['mandateId', 'instanceId'] as const) {
    const value = place[name]
    if (value === undefined) sessionStorage.removeItem(keys[name])
    else sessionStorage.setItem(keys[name], value)
  }
}

/** The headers that name the place, but for those that the request has already. */
export function nameIn(headers: Headers, { mandateId, instanceId }: Place): void {
  if (mandateId !== undefined && !headers.has('X-Mandate-Id')) headers.set('X-Mandate-Id', mandateId)
  if (instanceId !== undefined && !headers.has('X-Instance-Id')) headers.set('X-Instance-Id', instanceId)
}
