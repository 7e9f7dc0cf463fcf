/** Returns the prose of a Markdown text: without fenced code, comments, tables and headings, code spans as one word. */
function paragraphs(markdown: string): string[] {
  return markdown
    .replaceAll(/^```[^\n]*\n[^]*?^```/gm, '\n')
    .replaceAll(/<!--[^]*?-->/g, '')
    .split('\n')
    .map((line) => line.trim().replace(/^> ?/, ''))
    .map((line) => (/^(?:\||#)/.test(line) ? '' : line.replace(/^(?:[-*]|\d+\.) /, '\n\n')))
    .join('\n')
    .split(/\n\n+/)
    .map((text) => text.replaceAll(/`[^`]*`/g, 'code').replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, '$1'))
}

/** Returns the sentences of a Markdown text. A colon and a semicolon end one, too. */
export function sentences(markdown: string): string[] {
  return paragraphs(markdown)
    .flatMap((text) => text.split(/(?<=[.?!:;][*)"”]*)\s/))
    .map((sentence) => sentence.replaceAll(/\s+/g, ' ').replaceAll('**', '').trim())
    .filter((sentence) => sentence !== '')
}

/** Returns whether a statement begins with a question word as its noun, or says that somebody "is told". */
export const isRiddle = (sentence: string) =>
  (/^(?:Who|Whoever|Whose|What|Whatever|Of what)\b/.test(sentence) && !sentence.endsWith('?')) ||
  /\b(?:whoever|(?:is|are|was|were) told)\b/i.test(sentence)

/** Returns the number of words of a sentence. */
export const wordsOf = (sentence: string) => sentence.split(' ').length
