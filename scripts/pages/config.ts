import {configJsonSchema, describeConfigMarkdown} from '../../src/config/describe.ts'

/** Makes docs/config.md from the table of options. */
export function configPage(): string {
  return describeConfigMarkdown()
}

/** Makes the JSON schema of cell.yaml, for editors. */
export function configSchemaText(): string {
  return `${JSON.stringify(configJsonSchema(), null, 2)}\n`
}
