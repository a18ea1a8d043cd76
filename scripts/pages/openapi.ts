import {openapiDocument} from '../../src/server/openapi.ts'

/** Makes docs/openapi.json from the table of HTTPS routes. */
export function openapiText(): string {
  return `${JSON.stringify(openapiDocument(true), null, 2)}\n`
}
