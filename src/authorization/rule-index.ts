import type { ScopedRule } from '../coherence/directory.js'
import type { PrioritisedRule } from '../context/request-context.js'

interface Node<Worked> {
  rules: PrioritisedRule[]
  /** The result of its rules and those above it, once it was needed. */
  worked?: Worked
}

/** Returns the item that contains an item, no longer than `atMost`: the text before its last dot. */
function before(item: string, atMost = Infinity): string | undefined {
  const dot = item.lastIndexOf('.', atMost)
  return dot > 0 ? item.slice(0, dot) : undefined
}

/**
 * The rules of one context by item. All items with the same closest named ancestor are decided alike, so the
 * result is stored there. The memory grows with the rules, not with the items that are asked for.
 */
class ContextIndex<Worked> {
  private readonly nodes = new Map<string, Node<Worked>>()
  private readonly root: Node<Worked> = { rules: [] }
  private longest = 0

  add(entry: PrioritisedRule): void {
    const { item } = entry.rule
    if (item === null) {
      this.root.rules.push(entry)
      return
    }
    const node = this.nodes.get(item)
    if (node) node.rules.push(entry)
    else this.nodes.set(item, { rules: [entry] })
    this.longest = Math.max(this.longest, item.length)
  }

  /** Returns the result of the rules about an item. `work` gets the rules, closest first. */
  decide(item: string | null, work: (closestFirst: PrioritisedRule[]) => Worked): Worked {
    let name = this.closest(item)
    const node = name === undefined ? this.root : (this.nodes.get(name) ?? this.root)
    if (node.worked !== undefined) return node.worked
    const rules: PrioritisedRule[] = []
    for (; name !== undefined; name = before(name)) rules.push(...(this.nodes.get(name)?.rules ?? []))
    rules.push(...this.root.rules)
    return (node.worked = work(rules))
  }

  /** Returns the item itself, or its closest ancestor that a rule names. */
  private closest(item: string | null): string | undefined {
    let name = item === null || item.length <= this.longest ? (item ?? undefined) : before(item, this.longest)
    while (name !== undefined && !this.nodes.has(name)) name = before(name)
    return name
  }
}

/** Indexes rules, to be asked often. */
export class RuleIndex<Worked> {
  private readonly contexts = new Map<ScopedRule['context'], ContextIndex<Worked>>()

  constructor(rules: PrioritisedRule[]) {
    for (const entry of rules) {
      const context = this.contexts.get(entry.rule.context) ?? new ContextIndex<Worked>()
      this.contexts.set(entry.rule.context, context)
      context.add(entry)
    }
  }

  decide(
    context: ScopedRule['context'],
    item: string | null,
    work: (closestFirst: PrioritisedRule[]) => Worked,
  ): Worked {
    return this.contexts.get(context)?.decide(item, work) ?? work([])
  }
}
