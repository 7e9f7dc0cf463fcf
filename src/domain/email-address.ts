import { domainToASCII } from 'node:url'
import { z } from 'zod'
import { fieldError } from './reasons.js'

const mostBytes = 254
const mostLocalBytes = 64
/** Without quotes, comments, blanks, controls, and what separates addresses in a list (RFC 5322 §3.2.3). */
const local = /^[^\s\p{C}\p{Z}"'`(),:;<>@[\\\]]+$/u
const writtenDomain = /^[\p{L}\p{M}\p{N}.-]+$/u
const asciiLabel = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** Returns a domain as A-labels (RFC 5890) in lower case; undefined for what is none, such as an IP address. */
function asciiDomain(domain: string): string | undefined {
  if (!writtenDomain.test(domain)) return undefined
  const labels = domainToASCII(domain).split('.')
  const isName = labels.length > 1 && labels.every((one) => asciiLabel.test(one))
  return isName && !/^\d+$/.test(labels.at(-1) ?? '') ? labels.join('.') : undefined
}

/**
 * Returns a mail address as it is stored: `local@domain`, in NFC, with the domain as A-labels. Undefined for a
 * text that is not one address of at most 254 octets.
 */
export function prepareEmail(typed: string): string | undefined {
  const [name = '', domain = '', ...rest] = typed.normalize('NFC').split('@')
  const ascii = asciiDomain(domain)
  if (rest.length > 0 || ascii === undefined || !local.test(name)) return undefined
  if (name.startsWith('.') || name.endsWith('.') || name.includes('..')) return undefined
  const address = `${name}@${ascii}`
  return Buffer.byteLength(name) <= mostLocalBytes && Buffer.byteLength(address) <= mostBytes
    ? address
    : undefined
}

/** A new mail address. Addresses are compared without regard to case. */
export const emailAddress = z
  .string()
  .refine((value) => prepareEmail(value) !== undefined, fieldError('email'))
  .overwrite((value) => prepareEmail(value) ?? value)
