// What a machine can check of how our code reads. Formatting is prettier's; layers, cycles and the one clock are
// test/layers.test.ts's. Every disable comment in the code carries its reason.
import js from '@eslint/js'
import tseslint from 'typescript-eslint'

const noDefaultExport = {
  selector: 'ExportDefaultDeclaration',
  message: 'Named exports only: they can be searched for and renamed.',
}
const noEnum = {
  selector: 'TSEnumDeclaration',
  message: 'A union of strings says the same and needs no code.',
}

/** `throw signal.reason` and `throw err` pass on what somebody else chose. */
const thrownByOthers = { allowThrowingAny: true, allowThrowingUnknown: true }
const printable = {
  allowNumber: true,
  allowBoolean: true,
  allow: [{ from: 'lib', name: ['URL', 'URLSearchParams'] }],
}

export default tseslint.config(
  {
    ignores: [
      'bin/registry',
      'bin/registry-parts*/',
      'bin/digest',
      'bin/registry-api-descriptor-template',
      'fixtures/',
      '.tap/',
    ],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': 'off', // `return next()` reads well
      '@typescript-eslint/no-generated-empty-object-type': 'off', // a driver without parameters has an empty type
      '@typescript-eslint/no-meaningless-void-operator': 'off', // `void` says that a value is left alone on purpose
      '@typescript-eslint/no-unnecessary-type-conversion': 'off', // `+1` beside `-1`
      '@typescript-eslint/only-throw-error': ['error', thrownByOthers],
      '@typescript-eslint/prefer-promise-reject-errors': ['error', thrownByOthers],
      '@typescript-eslint/require-await': 'off', // an interface may ask for a promise where one driver needs none
      '@typescript-eslint/restrict-template-expressions': ['error', printable],
      '@typescript-eslint/unbound-method': 'off', // optional methods are capabilities, and are handed on as they are
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-restricted-syntax': ['error', noDefaultExport, noEnum],
      'no-console': 'error',
      'max-lines': ['error', 400],
      eqeqeq: 'error',
    },
  },
  { files: ['lib/cli/**'], rules: { 'no-console': 'off' } },
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-floating-promises': 'off', // t.test() returns one that tap itself waits for
      '@typescript-eslint/no-misused-spread': 'off', // letters of ASCII texts
      '@typescript-eslint/no-unsafe-assignment': 'off', // bodies parsed from JSON are what the test is about
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
    },
  },
  {
    files: ['**/*.mjs', '**/*.js'],
    languageOptions: {
      globals: Object.fromEntries(
        ['AbortController', 'AbortSignal', 'Buffer', 'URL', 'console', 'fetch', 'performance', 'process'].map(
          name => [name, 'readonly'],
        ),
      ),
    },
    rules: { 'max-lines': ['error', 400] },
  },
)
