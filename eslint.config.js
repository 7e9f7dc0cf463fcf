import js from '@eslint/js'
import tseslint from 'typescript-eslint'

/** Folders of src/ that the rooms 1 to 3 must not know of. */
const beyond = ['proxy', 'login', 'directory', 'portal', 'system', 'console']

/**
 * What each folder of src/ may import of the others; `errors`, `http` and `observability` are everybody's.
 */
const mayImport = {
  authentication: ['coherence', 'config'],
  context: ['authentication', 'coherence', 'config'],
  authorization: ['authentication', 'context', 'coherence', 'audit', 'config', 'database'],
  audit: ['database', 'config'],
  proxy: ['authentication', 'context', 'authorization', 'coherence', 'audit', 'database', 'config'],
  login: ['authentication', 'context', 'authorization', 'coherence', 'audit', 'database', 'config'],
  directory: ['authentication', 'context', 'authorization', 'coherence', 'audit', 'database', 'config'],
  portal: [
    'authentication',
    'context',
    'authorization',
    'coherence',
    'audit',
    'database',
    'config',
    'directory',
  ],
  system: [
    'authentication',
    'context',
    'authorization',
    'coherence',
    'audit',
    'database',
    'config',
    'directory',
    'proxy',
  ],
  console: ['config'],
  coherence: ['database', 'config'],
  doctor: ['database', 'proxy', 'config'],
  database: ['config'],
  http: ['config'],
  observability: ['config'],
}
const everybodys = ['http', 'observability']
const folders = [...new Set([...Object.keys(mayImport), ...beyond])]
const programs = [
  'main',
  'prepare',
  'serve',
  'workers',
  'gateway',
  'own-endpoints',
  'cli',
  'index',
  'demo-greeting',
  'offer-setup',
  'development-secrets',
  'exit-codes',
  'open-metrics',
  'reload-routes',
  'routes-command',
  'assemble',
  'embedded',
  'worker-metrics',
  'stop-signals',
  'node-version',
  'resembling-names',
  'data-dir',
]

const onlyIn = {
  jose: {
    may: ['src/authentication/**', 'src/login/**', 'src/proxy/identity*'],
    why: 'Tokens are made and checked in authentication/, login/ and proxy/identity only.',
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

/** @param {string} folder */
function directionOf(folder) {
  const allowed = new Set([folder, ...(mayImport[folder] ?? folders), ...everybodys])
  const forbidden = folders.filter((other) => !allowed.has(other))
  return [
    ...forbidden.map((other) => ({
      regex: `^\\.\\./(?:\\.\\./)*${other}/`,
      message: `${folder}/ must not import ${other}/: see docs/architecture.md`,
    })),
    {
      regex: `^\\.\\./(?:\\.\\./)*(?:${programs.join('|')})\\.js$`,
      message: `${folder}/ must not import the programs that are made of it`,
    },
  ]
}

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
  restricted('src/proxy/identity*.ts', directionOf('proxy'), ['knex', 'pg']),
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
)
