import { createTheme, type MantineColorsTuple } from '@mantine/core'

const sea: MantineColorsTuple = [
  '#e9f7f5',
  '#d3ece8',
  '#a5d9d1',
  '#74c5b9',
  '#4db4a5',
  '#34a999',
  '#1f9385',
  '#0f7d72',
  '#0d6e6a',
  '#07524f',
]
/** Greys with a breath of the accent in them: of dark mode, from text to ground. */
const dark: MantineColorsTuple = [
  '#d5dbdb',
  '#b3bcbc',
  '#8d9898',
  '#667070',
  '#3d4747',
  '#2c3535',
  '#222a2a',
  '#191f1f',
  '#141919',
  '#0f1313',
]
const gray: MantineColorsTuple = [
  '#f7f9f9',
  '#eff2f2',
  '#e4e9e9',
  '#d5dcdc',
  '#bcc6c6',
  '#97a3a3',
  '#637070',
  '#475353',
  '#313b3b',
  '#1b2222',
]

export const theme = createTheme({
  fontFamily: '"Inter Variable", system-ui, "Segoe UI", Roboto, sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, "DejaVu Sans Mono", monospace',
  headings: {
    fontWeight: '600',
    sizes: {
      h1: { fontSize: '1.375rem', lineHeight: '1.3' },
      h2: { fontSize: '1.0625rem', lineHeight: '1.4' },
      h3: { fontSize: '0.9375rem', lineHeight: '1.4' },
    },
  },
  fontSizes: { xs: '0.75rem', sm: '0.8438rem', md: '0.9063rem' },
  primaryColor: 'sea',
  primaryShade: { light: 8, dark: 7 },
  colors: { sea, dark, gray },
  black: '#1b2222',
  defaultRadius: 'md',
  radius: { sm: '4px', md: '7px', lg: '11px' },
  autoContrast: true,
  components: {
    Button: { defaultProps: { size: 'sm' } },
    TextInput: { defaultProps: { size: 'sm' } },
    Select: { defaultProps: { size: 'sm', checkIconPosition: 'right' } },
    Modal: {
      defaultProps: { centered: true, padding: 'lg', radius: 'lg', transitionProps: { duration: 120 } },
    },
    Drawer: {
      defaultProps: { position: 'right', padding: 'lg', size: 'lg', transitionProps: { duration: 120 } },
    },
    Menu: {
      defaultProps: { shadow: 'md', withInitialFocusPlaceholder: false, transitionProps: { duration: 80 } },
    },
    Tooltip: { defaultProps: { openDelay: 300, transitionProps: { duration: 80 } } },
    Badge: { defaultProps: { variant: 'light', radius: 'sm', tt: 'none', fw: 500 } },
    Anchor: { defaultProps: { underline: 'always' } },
  },
})
