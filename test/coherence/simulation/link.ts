import type { SimulatedPostgres } from './postgres.js'

/** A connection of a process to one server. */
export interface Link {
  readonly server: SimulatedPostgres
  /** The identity of the server when it was opened. */
  readonly identity: string
  /** Not used again: the next statement opens another. Answers that are under way may still come. */
  isBroken: boolean
}

/** Where new connections lead. */
export interface Address {
  /** The primary, the new one of two. */
  server: SimulatedPostgres
  /** The server that the next connection leads to: for a while after a promotion it may be the old one. */
  pick: () => SimulatedPostgres
}

/** A place for a connection, that is opened when it is needed. */
export class Socket {
  private link: Link | undefined

  constructor(private readonly address: Address) {}

  open(): Link {
    if (this.link?.isBroken === false) return this.link
    const server = this.address.pick()
    this.link = { server, identity: server.identity, isBroken: false }
    return this.link
  }

  break(): void {
    if (this.link) this.link.isBroken = true
  }

  closeOthers(identity: string): void {
    if (this.leadsElsewhere(identity)) this.break()
  }

  /** Whether it is open and leads to another history. */
  leadsElsewhere(identity: string): boolean {
    return this.link?.isBroken === false && this.link.identity !== identity
  }
}
