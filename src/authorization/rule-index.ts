import type { ScopedRule } from '../coherence/directory.js'
import type { PrioritisedRule } from '../context/request-context.js'

interface Node<Worked> {
  rules: PrioritisedRule[]
  /** What its rules and those above it come to, once somebody has asked. */
  worked?: Worked
}

/**
 * The rules of one context by their item. All items whose closest named ancestor is the same are decided alike, so that what is worked out is kept there:
 * as much as there are rules, however many items are asked for.
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

  /** What the rules about an item come to; `work` is given them, closest first. */
  decide(item: string | null, work: (closestFirst: PrioritisedRule[]) => Worked): Worked {
    let end = this.closest(item)
    const node = item === null || end <= 0 ? this.root : this.nodes.get(item.slice(0, end)) ?? this.root
    if (node.worked !== undefined) return node.worked
    const rules: PrioritisedRule[] = []
    for (; item !== null && end > 0; end = item.lastIndexOf('.', end - 1)) rules.push(...this.nodes.get(item.slice(0, end))?.rules ?? [])
    rules.push(...this.root.rules)
    return node.worked = work(rules)
  }

  /** How long the longest prefix of an item is, ending before a dot or at the end, that some rule names; 0 or less if there is none. */
  private closest(item: string | null): number {
    if (item === null) return 0
    let end = item.length <= this.longest ? item.length : item.lastIndexOf('.', this.longest)
    while (end > 0 && !this.nodes.has(item.slice(0, end))) end = item.lastIndexOf('.', end - 1)
    return end
  }
}

/** Rules, looked at once, to be asked often. */
export class RuleIndex<Worked> {
  private readonly contexts = new Map<ScopedRule['context'], ContextIndex<Worked>>()

  constructor(rules: PrioritisedRule[]) {
    for (const entry of rules) {
      const context = this.contexts.get(entry.rule.context) ?? new ContextIndex<Worked>()
      this.contexts.set(entry.rule.context, context)
      context.add(entry)
    }
  }

  decide(context: ScopedRule['context'], item: string | null, work: (closestFirst: PrioritisedRule[]) => Worked): Worked {
    return this.contexts.get(context)?.decide(item, work) ?? work([])
  }
}
