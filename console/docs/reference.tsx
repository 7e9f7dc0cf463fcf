import { Anchor, Center, Loader, Select, Text, TextInput, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { gateway } from '../api/client'
import { useMe } from '../app/session'
import { FaultNote } from '../parts/fault'
import logo from '../parts/icon.svg'
import { Icon } from '../parts/icons'
import { useText } from '../texts/language'
import { loadDescription, type Description, type Operation } from './description'
import { OperationCard, anchorOf } from './operation'

const includes = ({ method, path, summary }: Operation, wanted: string) =>
  `${method} ${path} ${summary}`.toLowerCase().includes(wanted.toLowerCase())

function Contents({ groups }: { groups: [string, Operation[]][] }) {
  return (
    <nav className="docs-nav wide-only">
      {groups.map(([tag, operations]) => (
        <div key={tag}>
          <div className="nav-title">{tag}</div>
          {operations.map((one) => (
            <a key={anchorOf(one)} href={`#${anchorOf(one)}`} className="docs-link">
              <span className={`method ${one.method}`}>{one.method}</span>
              <span>{one.path}</span>
            </a>
          ))}
        </div>
      ))}
    </nav>
  )
}

/** Shows whose session the requests use, and in which mandate. */
function Visitor() {
  const say = useText()
  const { data: me } = useMe()
  const [mandateId, setMandate] = useState(() => gateway.place().mandateId ?? null)
  if (!me)
    return (
      <Text size="sm" c="dimmed">
        {say('docs.signedOut')} <Anchor href="/console">{say('signIn')}</Anchor>
      </Text>
    )
  return (
    <div className="visitor">
      <Text size="sm">{say('docs.signedIn', { name: me.user.username })}</Text>
      {me.memberships.length > 0 && (
        <Select
          aria-label={say('mandate.choose')}
          placeholder={say('mandate.none')}
          clearable
          size="xs"
          value={mandateId}
          data={me.memberships.map(({ mandate }) => ({ value: mandate.id, label: mandate.label }))}
          onChange={(chosen) => {
            setMandate(chosen)
            gateway.enter({ mandateId: chosen ?? undefined })
          }}
        />
      )}
    </div>
  )
}

function Operations({ description }: { description: Description }) {
  const say = useText()
  const [wanted, setWanted] = useState('')
  const found = description.operations.filter((one) => includes(one, wanted))
  const tags = [...new Set(found.map((one) => one.tag))]
  const groups = tags.map((tag): [string, Operation[]] => [tag, found.filter((one) => one.tag === tag)])
  return (
    <div className="docs">
      <Contents groups={groups} />
      <main className="docs-main">
        <Title order={1}>{say('docs.title')}</Title>
        <Text c="dimmed" size="sm" mb="md">
          {description.title} {description.version} ·{' '}
          <Anchor href="/openapi.yaml" size="sm">
            {say('docs.download')}
          </Anchor>
        </Text>
        <div className="tool-bar">
          <TextInput
            type="search"
            aria-label={say('docs.search')}
            placeholder={say('docs.search')}
            leftSection={<Icon name="search" size={14} />}
            value={wanted}
            onChange={(event) => setWanted(event.currentTarget.value)}
            w={{ base: '100%', xs: 280 }}
          />
          <Visitor />
        </div>
        {groups.length === 0 && <Text c="dimmed">{say('docs.unmatched')}</Text>}
        {groups.map(([tag, operations]) => (
          <section key={tag} aria-label={tag}>
            <h2 className="docs-tag">{tag}</h2>
            {operations.map((one) => (
              <OperationCard key={anchorOf(one)} operation={one} description={description} />
            ))}
          </section>
        ))}
      </main>
    </div>
  )
}

/** The API reference, made of `/openapi.yaml`. */
export function Reference() {
  const say = useText()
  const { data, error, refetch } = useQuery({
    queryKey: ['description'],
    queryFn: loadDescription,
    staleTime: Infinity,
  })
  return (
    <>
      <header className="docs-head">
        <a href="/docs" className="brand">
          <img src={logo} alt="" width={24} height={24} />
          {say('product')}
        </a>
        <Anchor href="/console" size="sm">
          {say('console')}
        </Anchor>
      </header>
      {data ? (
        <Operations description={data} />
      ) : (
        <Center h="60dvh" p="md">
          {error ? <FaultNote error={error} onRetry={() => void refetch()} /> : <Loader />}
        </Center>
      )}
    </>
  )
}
