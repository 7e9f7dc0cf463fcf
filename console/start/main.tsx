import { Button, Group, Title } from '@mantine/core'
import { show } from '../app/providers'
import { settings } from '../app/settings'
import { Code } from '../parts/code'
import { Empty } from '../parts/empty'
import logo from '../parts/icon.svg'
import { Icon, type IconName } from '../parts/icons'
import { useText } from '../texts/language'
import type { TextKey } from '../texts/language'
import { demoMandates, demoPassword, demoUsers } from './demo'
import './start.css'

const url = window.location.origin
const cookies = '/tmp/mandate.cookies'
const json = `-H 'Content-Type: application/json'`
const within = (mandateId: string) => `curl -s -b ${cookies} -H 'X-Mandate-Id: ${mandateId}'`

/** Commands to copy, in the order of the tutorial. */
const lines: [TextKey, string][] = [
  [
    'start.try.login',
    `curl -s -c ${cookies} ${json} -d '{"username":"alice","password":"${demoPassword}"}' ${url}/auth/login`,
  ],
  ['start.try.acme', `${within(demoMandates.acme)} ${url}/api/crm/contacts`],
  ['start.try.globex', `${within(demoMandates.globex)} ${url}/api/crm/contacts`],
  [
    'start.try.denied',
    `${within(demoMandates.globex)} ${json} -d '{"name":"Mallory"}' ${url}/api/crm/contacts`,
  ],
  ['start.try.stream', `${within(demoMandates.acme)} -N ${url}/api/crm/events`],
  ['start.try.logout', `curl -s -b ${cookies} -X POST -o /dev/null -w '%{http_code}\\n' ${url}/auth/logout`],
]

function Doorway({ href, icon, title, hint }: { href: string; icon: IconName; title: string; hint: string }) {
  return (
    <a href={href} className="card doorway">
      <Icon name={icon} size={20} />
      <span>
        <b>{title}</b>
        <span className="sub">{hint}</span>
      </span>
    </a>
  )
}

function Demo() {
  const say = useText()
  return (
    <>
      <h2 className="section">{say('start.people')}</h2>
      <section className="card list" aria-label={say('start.people')}>
        <table>
          <thead>
            <tr>
              <th scope="col">
                <span>{say('start.user')}</span>
              </th>
              <th scope="col">
                <span>{say('start.is')}</span>
              </th>
              <th scope="col">
                <span className="visually-hidden">{say('signIn')}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {demoUsers.map(({ name, is }) => (
              <tr key={name}>
                <td>
                  <b>{name}</b>
                </td>
                <td>{say(is)}</td>
                <td className="tight">
                  {name !== 'dave' && (
                    <Button
                      component="a"
                      href={`/console?as=${name}`}
                      size="compact-xs"
                      variant="default"
                      aria-label={say('start.signIn', { name })}
                    >
                      {say('signIn')}
                    </Button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        <div className="list-foot">{say('start.people.hint', { password: demoPassword })}</div>
      </section>
      <h2 className="section">{say('start.try')}</h2>
      <ol className="lines">
        {lines.map(([title, line]) => (
          <li key={title}>
            <p>{say(title)}</p>
            <Code text={line} />
          </li>
        ))}
      </ol>
    </>
  )
}

/** The page for somebody who has just started a gateway of their own. */
function Start() {
  const say = useText()
  return (
    <main className="start">
      <Group gap={14} mb={6} wrap="nowrap">
        <img src={logo} alt="" width={44} height={44} />
        <Title order={1}>{say('product')}</Title>
      </Group>
      <p className="lead">{say('start.lead')}</p>
      <div className="tiles">
        <Doorway href="/console" icon="grid" title={say('start.console')} hint={say('start.console.hint')} />
        <Doorway href="/docs" icon="file" title={say('start.docs')} hint={say('start.docs.hint')} />
        <Doorway href="/openapi.yaml" icon="download" title="openapi.yaml" hint={say('start.openapi.hint')} />
      </div>
      {settings.demo ? (
        <Demo />
      ) : (
        <div className="card demo-less">
          <Empty icon="users" title={say('start.noDemo')} hint={say('start.noDemo.hint')} />
        </div>
      )}
      <p className="soft small">{say('start.more')}</p>
    </main>
  )
}

show(<Start />)
