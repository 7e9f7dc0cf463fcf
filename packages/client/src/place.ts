const keys = { mandateId: 'mandate-gateway.mandate', instanceId: 'mandate-gateway.instance' } as const

/** The mandate of a tab and, within it, the feature instance. */
export interface Place {
  mandateId: string | undefined
  instanceId: string | undefined
}

/**
 * Returns the mandate and instance of this tab from sessionStorage. They outlive a reload, and another tab
 * has its own.
 */
export function currentPlace(): Place {
  return {
    mandateId: sessionStorage.getItem(keys.mandateId) ?? undefined,
    instanceId: sessionStorage.getItem(keys.instanceId) ?? undefined,
  }
}

/** Changes the mandate or instance. Undefined fields stay. */
export function choosePlace(place: Partial<Place>): void {
  for (const name of ['mandateId', 'instanceId'] as const) {
    const value = place[name]
    if (value === undefined) sessionStorage.removeItem(keys[name])
    else sessionStorage.setItem(keys[name], value)
  }
}

/** Adds the headers that name the mandate and instance, unless the request has them. */
export function nameIn(headers: Headers, { mandateId, instanceId }: Place): void {
  if (mandateId !== undefined && !headers.has('X-Mandate-Id')) headers.set('X-Mandate-Id', mandateId)
  if (instanceId !== undefined && !headers.has('X-Instance-Id')) headers.set('X-Instance-Id', instanceId)
}
