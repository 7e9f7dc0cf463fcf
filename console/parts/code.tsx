import { ActionIcon, CopyButton, Tooltip } from '@mantine/core'
import { useText } from '../texts/language'
import { Icon } from './icons'

/** A text to copy. Without a secure context it can only be selected. */
export function Code({ text }: { text: string }) {
  const say = useText()
  return (
    <pre className="code">
      {text}
      <CopyButton value={text}>
        {({ copied, copy }) => (
          <Tooltip label={say(copied ? 'copied' : 'copy')}>
            <ActionIcon
              variant="subtle"
              color={copied ? 'teal' : 'gray'}
              aria-label={say(copied ? 'copied' : 'copy')}
              onClick={copy}
            >
              <Icon name={copied ? 'check' : 'copy'} size={14} />
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
    </pre>
  )
}
