import { Button, Menu } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { gateway } from '../api/client'
import { asProblem, ProblemError } from '../../packages/client/src/index'
import { useText } from '../texts/language'
import { tellFault } from './receipts'
import { Icon } from './icons'
import type { Page } from './rows'
import { useFault } from './fault'

/** Hands a file to the browser. */
function keep(name: string, content: Blob): void {
  const url = URL.createObjectURL(content)
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000) // when it has surely begun to be read
}

async function answerTo(path: string): Promise<Response> {
  const response = await gateway.fetch(path)
  if (!response.ok) throw new ProblemError(asProblem(await response.json().catch(() => undefined), response))
  return response
}

/** Every row of a list, page after page. */
async function allRows(path: string, query: Record<string, string>): Promise<unknown[]> {
  const rows: unknown[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const asked = new URLSearchParams({ ...query, limit: '200', ...(cursor ? { cursor } : {}) })
    const page = (await (await answerTo(`${path}?${asked.toString()}`)).json()) as Page<unknown>
    rows.push(...page.items)
    cursor = page.nextCursor
  }
  return rows
}

/** Everything that a list shows, as a table for spreadsheets or as JSON for programs. */
export function DownloadMenu({
  path,
  query,
  name,
}: {
  path: string
  query: Record<string, string>
  name: string
}) {
  const say = useText()
  const faultOf = useFault()
  const download = useMutation({
    mutationFn: async (format: 'csv' | 'json') =>
      keep(
        `${name}.${format}`,
        format === 'csv'
          ? await (await answerTo(`${path}?${new URLSearchParams({ ...query, format }).toString()}`)).blob()
          : new Blob([JSON.stringify(await allRows(path, query), undefined, 2)], {
              type: 'application/json',
            }),
      ),
    onError: (error) => tellFault(faultOf(error).detail),
  })
  return (
    <Menu position="bottom-end" width={200}>
      <Menu.Target>
        <Button
          variant="default"
          leftSection={<Icon name="download" size={14} />}
          rightSection={<Icon name="down" size={13} />}
          loading={download.isPending}
        >
          {say('download')}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => download.mutate('csv')}>{say('download.csv')}</Menu.Item>
        <Menu.Item onClick={() => download.mutate('json')}>{say('download.json')}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
