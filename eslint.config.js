import js from '@eslint/js'
import tseslint from 'typescript-eslint'

/** What decides: who is calling, where, and what they may do, with what these are made of. */
const decision = ['authentication', 'context', 'authorization', 'coherence', 'audit', 'database']

/**
 * What each folder of src/ may import of the others. `domain`, `http` and `observability` may be imported by
 * every folder above them, and `config.ts` and `errors.ts` by all.
 */
const mayImport = {
  domain: [],
  observability: ['domain'],
  http: ['domain', 'observability'],
  database: ['domain', 'observability'],
  coherence: ['database'],
  audit: ['database'],
  authentication: ['coherence'],
  context: ['authentication', 'coherence'],
  authorization: ['authentication', 'context', 'coherence', 'audit', 'database'],
  console: [],
  messages: ['audit', 'database'],
  proxy: decision,
  login: [...decision, 'messages'],
  directory: [...decision, 'messages'],
  invitations: [...decision, 'messages', 'login', 'directory'],
  oauth: [...decision, 'login', 'directory'],
  portal: [...decision, 'directory'],
  system: [...decision, 'messages', 'directory', 'proxy'],
  gateway: [
    ...decision,
    'messages',
    'invitations',
    'console',
    'proxy',
    'login',
    'oauth',
    'directory',
    'portal',
    'system',
  ],
  process: [...decision, 'console', 'proxy', 'login', 'gateway', 'system'],
  commands: [...decision, 'messages', 'proxy', 'login', 'oauth', 'directory', 'portal', 'system', 'process'],
}
/** Folders below everything else; they say themselves what they import of each other. */
const ground = ['domain', 'http', 'observability']
const folders = Object.keys(mayImport)
/** Files in src/ that start a program, or are what an embedding program imports. */
const entryPoints = ['main', 'cli', 'index', 'embedded']

const onlyIn = {
  jose: {
    may: ['src/authentication/**', 'src/login/**', 'src/oauth/**', 'src/proxy/identity*'],
    why: 'Tokens are made and checked in authentication/, login/, oauth/ and proxy/identity only.',
  },
  knex: {
    may: ['src/database/**', 'src/**/*-queries.ts'],
    why: 'SQL lives in database/ and in files named *-queries.ts.',
  },
  pg: {
    may: ['src/database/**', 'src/coherence/**', 'src/**/*-queries.ts'],
    why: 'SQL lives in database/ and in files named *-queries.ts.',
  },
}

/** Folders whose lines are held to 120 columns. */
const columns = [
  ...['test', 'bench', 'scripts', 'examples', 'seeds', 'packages', 'deploy'],
  ...[
    'audit',
    'coherence',
    'console',
    'context',
    'database',
    'domain',
    'http',
    'oauth',
    'proxy',
    'system',
  ].map((room) => `src/${room}`),
]

/** Helpers in test/support/ that unit tests may use: they start no database, server or program. */
const startNothing = [
  'hand-signed',
  'naive-permission',
  'paths',
  'quickest',
  'request-state',
  'tables',
  'until',
  'within',
]

/** The fields of a request that are for the handlers of embedding programs, in every form of a read. */
const forEmbedders = [
  'MemberExpression[property.name=FIELD]:matches([object.name=/^(req|request|call)$/], [object.property.name=req])',
  'ObjectPattern[typeAnnotation.typeAnnotation.typeName.name=Request] > Property[key.name=FIELD]',
  'VariableDeclarator[init.name=req] > ObjectPattern > Property[key.name=FIELD]',
  'Property[key.name=req] > ObjectPattern > Property[key.name=FIELD]',
].map((selector) => ({
  selector: selector.replaceAll('FIELD', '/^(principal|context|accessLevel)$/'),
  message: 'Read req.state: this field is set for the handlers of embedding programs alone.',
}))

/** @param {string} folder */
function directionOf(folder) {
  const below = ground.includes(folder) || folder === 'database' ? [] : ground
  const allowed = new Set([folder, ...mayImport[folder], ...below])
  const forbidden = folders.filter((other) => !allowed.has(other))
  return [
    ...forbidden.map((other) => ({
      regex: `^\\.\\./(?:\\.\\./)*${other}/`,
      message: `${folder}/ must not import ${other}/: see docs/architecture.md`,
    })),
    {
      regex: `^\\.\\./(?:\\.\\./)*(?:${entryPoints.join('|')})\\.js$`,
      message: `${folder}/ must not import the programs that are made of it`,
    },
  ]
}

/** Use cases are called by endpoints and by the command line alike: they know no HTTP. */
const useCases = [
  {
    regex: '^(?:express|zod)$|/http/endpoint/|endpoints\\.js$',
    message: 'A use case knows no HTTP: move this to the -endpoints.ts file, see docs/style.md',
  },
]

/** @param {string} file a glob @param {object[]} patterns @param {string[]} libraries */
const restricted = (file, patterns, libraries) => ({
  files: [file],
  rules: {
    '@typescript-eslint/no-restricted-imports': [
      'error',
      {
        patterns,
        paths: libraries.map((name) => ({ name, message: onlyIn[name].why })),
      },
    ],
  },
})

export default tseslint.config(
  { ignores: ['**/dist/', 'node_modules/', '.data/', 'coverage/', 'console/api/schema.d.ts'] },
  js.configs.recommended,
  {
    files: ['**/*.js'],
    languageOptions: {
      globals: {
        process: 'readonly',
        Buffer: 'readonly',
        URL: 'readonly',
        setTimeout: 'readonly',
        setInterval: 'readonly',
        clearInterval: 'readonly',
        clearTimeout: 'readonly',
        performance: 'readonly',
        fetch: 'readonly',
        console: 'readonly',
        AbortController: 'readonly',
        AbortSignal: 'readonly',
        setImmediate: 'readonly',
      },
    },
  },
  {
    files: ['src/**/*.ts', 'packages/*/src/**/*.ts', 'test/**/*.ts', 'console/**/*.{ts,tsx}'],
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // knex builders are thenables that do nothing until somebody waits for them
      '@typescript-eslint/no-floating-promises': ['error', { checkThenables: true }],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/consistent-type-definitions': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/prefer-nullish-coalescing': ['error', { ignorePrimitives: { string: true } }],
      // Node's and Express's classes are taken for what they look like
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      'no-console': 'error',
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only config.ts reads the environment.' },
      ],
      eqeqeq: 'error',
      'no-unexpected-multiline': 'off', // Prettier lays out long property names in this way
    },
  },
  { files: ['src/config.ts', 'test/**/*.ts'], rules: { 'no-restricted-properties': 'off' } },
  ...Object.keys(mayImport).flatMap((folder) => [
    restricted(
      `src/${folder}/**/*.ts`,
      directionOf(folder),
      Object.keys(onlyIn).filter(
        (name) => !onlyIn[name].may.some((glob) => glob.startsWith(`src/${folder}/**`)),
      ),
    ),
    ...(folder === 'database'
      ? []
      : [restricted(`src/${folder}/**/*-queries.ts`, directionOf(folder), ['jose'])]),
  ]),
  {
    ...restricted('src/system/*.ts', [...directionOf('system'), ...useCases], ['jose', 'knex', 'pg']),
    ignores: ['src/system/*endpoints.ts', 'src/system/*-queries.ts'],
  },
  restricted('src/proxy/identity*.ts', directionOf('proxy'), ['knex', 'pg']),
  restricted(
    'src/{config,errors}.ts',
    [{ regex: '^\\./(?!domain/)', message: 'config.ts and errors.ts may import domain/ alone' }],
    [],
  ),
  restricted(
    'packages/client/src/**/*.ts',
    [{ regex: '^[^.]', message: 'the client is a package without dependencies' }],
    [],
  ),
  restricted(
    'packages/*/src/**/*.ts',
    [
      {
        regex: '^\\.\\./',
        message: 'a package stands alone: it must not import the gateway or another package',
      },
    ],
    [],
  ),
  {
    files: ['src/**/*.ts'],
    ignores: ['src/gateway/chain.ts'], // sets them
    rules: { 'no-restricted-syntax': ['error', ...forEmbedders] },
  },
  {
    files: ['console/**/*.{ts,tsx}'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^\\.\\./(?:\\.\\./)*(?:src/|packages/(?!client/src/index$))',
              message: 'the console knows the gateway by its API and by packages/client alone',
            },
          ],
        },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off', // bodies of answers are looked at as they come
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    files: ['test/**/*.unit.test.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: `/support/(?!(?:${startNothing.join('|')})\\.js$)`,
              message: 'A unit test starts nothing: see docs/testing.md.',
            },
            {
              group: ['pg', 'supertest', 'node:child_process', '#embedded-postgres'],
              message: 'A unit test starts nothing: see docs/testing.md.',
            },
          ],
        },
      ],
    },
  },
  {
    // Prettier breaks code at 110 columns; what it leaves alone is broken by hand.
    files: columns.map((folder) => `${folder}/**/*.{js,ts,tsx}`),
    rules: { 'max-len': ['error', { code: 120, ignoreUrls: true, ignoreRegExpLiterals: true }] },
  },
)
