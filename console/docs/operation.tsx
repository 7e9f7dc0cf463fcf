import { Badge, Button, Collapse, UnstyledButton } from '@mantine/core'
import { useState } from 'react'
import { Icon } from '../parts/icons'
import { useText } from '../texts/language'
import { nameOf, resolve, type Description, type Operation, type Schema } from './description'
import { TryIt } from './try-it'

export const anchorOf = ({ method, path }: Operation) =>
  `${method}-${path.replace(/[^a-z0-9]+/gi, '-')}`.replace(/-$/, '')

interface Field {
  name: string
  type: string
  isRequired: boolean
  description: string | undefined
}

function fieldsOf(schema: Schema, description: Description): Field[] {
  const { properties = {}, required = [] } = resolve(schema, description)
  return Object.entries(properties).map(([name, one]) => ({
    name,
    type: nameOf(one),
    isRequired: required.includes(name),
    description: one.description ?? resolve(one, description).description,
  }))
}

function Fields({ title, fields }: { title: string; fields: Field[] }) {
  const say = useText()
  if (fields.length === 0) return null
  return (
    <>
      <h4>{title}</h4>
      <table className="fields">
        <tbody>
          {fields.map(({ name, type, isRequired, description }) => (
            <tr key={name}>
              <th scope="row" className="mono">
                {name}
                {isRequired && (
                  <span className="required" title={say('docs.required')}>
                    *<span className="visually-hidden"> {say('docs.required')}</span>
                  </span>
                )}
              </th>
              <td>
                <span className="mono soft">{type}</span>
                {description && <span className="sub">{description}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}

/** The fields of an answer; of a list, those of its items. */
function answerFields(schema: Schema, description: Description): Field[] {
  const list = resolve(schema, description).properties?.items?.items
  return fieldsOf(list ?? schema, description)
}

function Details({ operation, description }: { operation: Operation; description: Description }) {
  const say = useText()
  const [isTrying, setTrying] = useState(false)
  const bodySchema = Object.values(operation.body ?? {})[0]?.schema
  const answers = Object.entries(operation.responses).filter(([status]) => status !== 'default')
  return (
    <div className="operation-body">
      {operation.description && <p className="soft">{operation.description}</p>}
      <Fields
        title={say('docs.parameters')}
        fields={operation.parameters.map((one) => ({
          name: one.name,
          type: `${one.in} · ${nameOf(one.schema ?? {})}`,
          isRequired: one.required ?? false,
          description: one.description ?? one.schema?.description,
        }))}
      />
      {bodySchema && (
        <Fields
          title={`${say('docs.body')} · ${Object.keys(operation.body ?? {}).join(', ')}`}
          fields={fieldsOf(bodySchema, description)}
        />
      )}
      {answers.map(([status, { content }]) => {
        const [[type, { schema }] = ['', {}]] = Object.entries(content ?? {}) as [
          string,
          { schema?: Schema },
        ][]
        return (
          <Fields
            key={status}
            title={`${say('docs.answer')} ${status}${type ? ` · ${type}` : ''}`}
            fields={schema ? answerFields(schema, description) : []}
          />
        )
      })}
      {isTrying ? (
        <TryIt operation={operation} description={description} />
      ) : (
        <Button mt="md" size="xs" variant="light" onClick={() => setTrying(true)}>
          {say('docs.try')}
        </Button>
      )}
    </div>
  )
}

/** One endpoint. Its details are closed at first. */
export function OperationCard({
  operation,
  description,
}: {
  operation: Operation
  description: Description
}) {
  const say = useText()
  const anchor = anchorOf(operation)
  const [isOpen, setOpen] = useState(() => window.location.hash === `#${anchor}`)
  return (
    <article className="card operation" id={anchor}>
      <UnstyledButton className="operation-head" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <span className={`method ${operation.method}`}>{operation.method}</span>
        <span className="operation-name">
          <span className="mono path">{operation.path}</span>
          <span className="soft">{operation.summary}</span>
        </span>
        {operation.isPublic && (
          <Badge color="gray" className="wide-only">
            {say('docs.public')}
          </Badge>
        )}
        <Icon name={isOpen ? 'up' : 'down'} size={14} />
      </UnstyledButton>
      <Collapse expanded={isOpen} transitionDuration={120}>
        {isOpen && <Details operation={operation} description={description} />}
      </Collapse>
    </article>
  )
}
