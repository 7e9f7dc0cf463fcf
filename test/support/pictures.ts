import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import type { Page } from 'playwright-core'

/** Where pictures of pages are kept for somebody to look at, if anywhere. */
export const pictures = process.env.PICTURES ?? ''

/** Keeps a picture of a page, where pictures are wanted. */
export async function keepPicture(page: Page, name: string, { fullPage = false } = {}): Promise<void> {
  if (!pictures) return
  await mkdir(pictures, { recursive: true })
  await page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage, animations: 'disabled' })
}
