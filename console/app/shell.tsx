import { ActionIcon, Alert, Center, Drawer, Loader } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { Component, Suspense, useEffect, useState, useSyncExternalStore, type ReactNode } from 'react'
import { Link, Redirect, Route, Switch, useLocation } from 'wouter'
import { Empty } from '../parts/empty'
import { isOutage, useFault } from '../parts/fault'
import logo from '../parts/icon.svg'
import { Icon } from '../parts/icons'
import { LeaveDialog } from '../parts/leave-dialog'
import { Receipts, tellFault } from '../parts/receipts'
import { useText } from '../texts/language'
import { MandateSwitcher } from './mandate-switcher'
import { groups, pages, type Page } from './pages'
import { PersonMenu } from './person-menu'
import { useSession } from './session'

function Brand() {
  return (
    <Link href="/" className="brand">
      <img src={logo} alt="" width={24} height={24} />
      {useText()('product')}
    </Link>
  )
}

function NavLink({ page, isCurrent }: { page: Page; isCurrent: boolean }) {
  const say = useText()
  return (
    <Link href={page.path} className="nav-link" {...(isCurrent ? { 'aria-current': 'page' as const } : {})}>
      <Icon name={page.icon} />
      {say(page.title)}
    </Link>
  )
}

/** Returns whether the page, or one below it, is shown. */
const isShown = (page: Page, location: string) =>
  location === page.path || (page.path !== '/' && location.startsWith(`${page.path}/`))

function Side() {
  const say = useText()
  const session = useSession()
  const [location] = useLocation()
  return (
    <aside className="side" aria-label={say('product')}>
      <Brand />
      <MandateSwitcher />
      <nav className="side-scroll" aria-label={say('console')}>
        {groups.map((group) => {
          const inside = pages.filter((page) => page.group === group && page.may(session))
          if (inside.length === 0) return null
          return (
            <div key={group}>
              <div className="nav-title">{say(`nav.${group}`)}</div>
              {inside.map((page) => (
                <NavLink key={page.path} page={page} isCurrent={isShown(page, location)} />
              ))}
            </div>
          )
        })}
      </nav>
      <PersonMenu />
    </aside>
  )
}

/** Catches the failure of one page, so that the others go on. */
class Guarded extends Component<{ title: string; hint: string; children: ReactNode }, { failed: boolean }> {
  override state = { failed: false }
  static getDerivedStateFromError() {
    return { failed: true }
  }
  override render() {
    const { title, hint, children } = this.props
    return this.state.failed ? <Empty icon="alert" title={title} hint={hint} /> : children
  }
}

/** The page for an unknown address, or for one that the user cannot see in this mandate. */
function NoPage() {
  const say = useText()
  const [location] = useLocation()
  const { mandateLabel } = useSession()
  const isElsewhere =
    mandateLabel !== undefined && pages.some((page) => page.group === 'mandate' && isShown(page, location))
  const home = <Link href="/">{say('home')}</Link>
  return isElsewhere ? (
    <Empty
      icon="help"
      title={say('fault.elsewhere', { mandate: mandateLabel })}
      hint={say('fault.elsewhere.hint')}
      action={home}
    />
  ) : (
    <Empty icon="help" title={say('fault.notFound')} hint={say('fault.notFound.hint')} action={home} />
  )
}

/** Tells the user that the data is from before an outage. */
function StaleNote() {
  const say = useText()
  const cache = useQueryClient().getQueryCache()
  const isStale = useSyncExternalStore(
    (listener) => cache.subscribe(listener),
    () =>
      cache
        .getAll()
        .some((query) => query.isActive() && query.state.data !== undefined && isOutage(query.state.error)),
  )
  return isStale ? (
    <Alert color="yellow" variant="light" mb="md" role="status">
      {say('fault.stale')}
    </Alert>
  ) : null
}

function Pages() {
  const session = useSession()
  if (session.permissions === undefined)
    return (
      <Center h={240}>
        <Loader />
      </Center>
    )
  const allowed = pages.filter((page) => page.may(session))
  return (
    <Suspense
      fallback={
        <Center h={240}>
          <Loader />
        </Center>
      }
    >
      <Switch>
        {allowed.flatMap(({ path, content: Content, below: Below }) => [
          <Route key={path} path={path}>
            <Content />
          </Route>,
          ...(Below
            ? [
                <Route key={`${path}/:id`} path={`${path}/:id`}>
                  {({ id }: { id: string }) => <Below key={id} id={id} />}
                </Route>,
              ]
            : []),
        ])}
        <Route path="/index.html">
          <Redirect to="/" />
        </Route>
        <Route>
          <NoPage />
        </Route>
      </Switch>
    </Suspense>
  )
}

/** Shows an error that no part of the page shows, such as that of a menu entry. */
function useFailures(): void {
  const faultOf = useFault()
  useEffect(() => {
    const tell = (event: PromiseRejectionEvent) => {
      event.preventDefault()
      tellFault(faultOf(event.reason).detail)
    }
    window.addEventListener('unhandledrejection', tell)
    return () => window.removeEventListener('unhandledrejection', tell)
  }, [faultOf])
}

/** The frame of each page: the navigation, the mandate of this tab, and the user's menu. */
export function Shell() {
  const say = useText()
  const [location] = useLocation()
  const [isOpen, setOpen] = useState(false)
  const { mandateId } = useSession()
  useEffect(() => setOpen(false), [location, mandateId])
  useFailures()
  const page = pages.find((one) => isShown(one, location))
  useEffect(() => {
    document.title = page ? say('console.page', { page: say(page.title) }) : say('product')
  }, [page, say])
  return (
    <div className="frame">
      <a href="#content" className="skip">
        {say('skip')}
      </a>
      <header className="top-bar">
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label={say('menu.open')}
          aria-expanded={isOpen}
          onClick={() => setOpen(true)}
        >
          <Icon name="menu" size={20} />
        </ActionIcon>
        <Brand />
      </header>
      <Drawer
        opened={isOpen}
        onClose={() => setOpen(false)}
        position="left"
        size={280}
        padding={0}
        withCloseButton={false}
        className="drawer"
        attributes={{ content: { 'aria-label': say('console') } }}
        styles={{ body: { height: '100%' } }}
      >
        <Side />
      </Drawer>
      <Side />
      <main className="content" id="content" tabIndex={-1}>
        <StaleNote />
        <Guarded
          key={`${location} ${mandateId ?? ''}`}
          title={say('fault.crash')}
          hint={say('fault.crash.hint')}
        >
          <Pages />
        </Guarded>
      </main>
      <LeaveDialog />
      <Receipts />
    </div>
  )
}
