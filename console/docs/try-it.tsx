import { Button, Group, JsonInput, Text, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState, type SyntheticEvent } from 'react'
import { gateway } from '../api/client'
import { Code } from '../parts/code'
import { FaultNote } from '../parts/fault'
import { useText } from '../texts/language'
import { exampleOf, type Description, type Operation } from './description'

interface Sent {
  path: string
  headers: Record<string, string>
  body: string | undefined
}

interface Answered {
  status: number
  ms: number
  headers: string
  body: string
}

/** Returns the request that the fields make. */
function requestOf(
  { path, parameters, body }: Operation,
  values: Record<string, string>,
  bodyText: string,
): Sent {
  const filled = parameters.filter((one) => (values[`${one.in}.${one.name}`] ?? '') !== '')
  const valueOf = (one: { in: string; name: string }) => values[`${one.in}.${one.name}`] ?? ''
  const query = new URLSearchParams(
    filled.filter((one) => one.in === 'query').map((one) => [one.name, valueOf(one)]),
  )
  const type = Object.keys(body ?? {})[0]
  const place = gateway.place()
  return {
    path:
      path.replace(/\{(\w+)\}/g, (_hole, name: string) => encodeURIComponent(valueOf({ in: 'path', name }))) +
      (query.size > 0 ? `?${String(query)}` : ''),
    headers: {
      ...(parameters.some((one) => one.name === 'X-Mandate-Id') && place.mandateId
        ? { 'X-Mandate-Id': place.mandateId }
        : {}),
      ...Object.fromEntries(
        filled.filter((one) => one.in === 'header').map((one) => [one.name, valueOf(one)]),
      ),
      ...(type ? { 'Content-Type': type } : {}),
    },
    body: body && bodyText.trim() ? bodyText : undefined,
  }
}

const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`

function curlOf(method: string, { path, headers, body }: Sent): string {
  return [
    `curl -s -b /tmp/mandate.cookies${method === 'get' ? '' : ` -X ${method.toUpperCase()}`}`,
    ...Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    ...(body === undefined
      ? []
      : [
          `-d ${quoted(
            body
              .split('\n')
              .map((line) => line.trim())
              .join(' '),
          )}`,
        ]),
    quoted(window.location.origin + path),
  ].join(' ')
}

async function send(method: string, { path, headers, body }: Sent): Promise<Answered> {
  const began = performance.now()
  const response = await gateway.fetch(path, {
    method: method.toUpperCase(),
    headers,
    ...(body === undefined ? {} : { body }),
  })
  const text = await response.text()
  const ms = performance.now() - began
  const isJson = (response.headers.get('Content-Type') ?? '').includes('json')
  return {
    status: response.status,
    ms,
    headers: [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n'),
    body: isJson && text ? JSON.stringify(JSON.parse(text), undefined, 2) : text,
  }
}

function bodyToBeginWith({ body }: Operation, description: Description): string {
  const schema = Object.values(body ?? {})[0]?.schema
  return schema ? JSON.stringify(exampleOf(schema, description), undefined, 2) : ''
}

/** Sends the request with the visitor's session, and shows the response. */
export function TryIt({ operation, description }: { operation: Operation; description: Description }) {
  const say = useText()
  const [values, setValues] = useState<Record<string, string>>({})
  const [body, setBody] = useState(() => bodyToBeginWith(operation, description))
  const request = requestOf(operation, values, body)
  const run = useMutation({ mutationFn: () => send(operation.method, request) })
  const submit = (event: SyntheticEvent) => {
    event.preventDefault()
    run.mutate()
  }
  return (
    <form onSubmit={submit} className="try-it">
      {operation.parameters.map((one) => (
        <TextInput
          key={`${one.in}.${one.name}`}
          label={`${one.name} (${one.in})`}
          required={one.in === 'path'}
          size="xs"
          value={values[`${one.in}.${one.name}`] ?? ''}
          placeholder={one.name === 'X-Mandate-Id' ? (gateway.place().mandateId ?? '') : ''}
          onChange={({ currentTarget: { value } }) =>
            setValues((before) => ({ ...before, [`${one.in}.${one.name}`]: value }))
          }
        />
      ))}
      {operation.body && (
        <JsonInput
          label={say('docs.body')}
          autosize
          minRows={3}
          size="xs"
          value={body}
          onChange={setBody}
          classNames={{ input: 'mono' }}
        />
      )}
      <Group gap="sm">
        <Button type="submit" size="xs" loading={run.isPending}>
          {say('docs.send')}
        </Button>
        {operation.method !== 'get' && (
          <Text size="xs" c="dimmed">
            {say('docs.warning')}
          </Text>
        )}
      </Group>
      <Text size="xs" c="dimmed" mb={-6}>
        {say('docs.curl')}
      </Text>
      <Code text={curlOf(operation.method, request)} />
      {run.isError && <FaultNote error={run.error} />}
      {run.data && (
        <div aria-live="polite">
          <Text size="sm" fw={600} mb={6}>
            {say('docs.answer')}: {run.data.status}{' '}
            <Text span size="sm" c="dimmed">
              {Math.round(run.data.ms)} ms
            </Text>
          </Text>
          <Code text={run.data.body || say('docs.noBody')} />
          <details>
            <summary>Headers</summary>
            <Code text={run.data.headers} />
          </details>
        </div>
      )}
    </form>
  )
}
