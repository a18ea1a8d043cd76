import {packageVersion} from '../base/package-root.ts'
import type {JsonSchema} from '../wire/https/messages.ts'
import {HTTPS_ROUTES, HTTPS_WEBSOCKETS, type HttpsRow} from './https-routes.ts'
import {COMPONENTS} from './https-schemas.ts'

type Json = Readonly<Record<string, unknown>>

/** Makes the OpenAPI 3.1 document of the table of routes: of an AHA, or of a cell that is none. */
export function openapiDocument(isAha: boolean): Json {
  const rows: readonly (readonly [string, HttpsRow])[] = Object.entries(HTTPS_ROUTES)
  const paths: Record<string, Record<string, Json>> = {}
  for (const [name, row] of rows) {
    if (row.isOfAha && !isAha) continue
    paths[row.path] = {...paths[row.path], [row.method.toLowerCase()]: operation(name, row)}
  }
  const sockets = Object.values(HTTPS_WEBSOCKETS).map(({path, summary}) => `\`${path}\`: ${summary}`)
  return {
    openapi: '3.1.0',
    info: {
      title: 'registry',
      version: packageVersion(),
      description: `Users and roles of the cell, and its health. Websockets: ${sockets.join('; ')}`,
    },
    paths,
    components: {
      schemas: COMPONENTS,
      securitySchemes: {
        session: {type: 'apiKey', in: 'cookie', name: 'sess'},
        apiKey: {type: 'apiKey', in: 'header', name: 'X-API-KEY'},
        basic: {type: 'http', scheme: 'basic'},
        certificate: {type: 'mutualTLS'},
      },
    },
  }
}

const LOGINS = [{session: []}, {apiKey: []}, {basic: []}, {certificate: []}]

function operation(operationId: string, row: HttpsRow): Json {
  const parameters = [...pathParameters(row.path), ...queryParameters(row.query ?? {})]
  return {
    operationId,
    summary: row.summary,
    description: needText(row),
    security: isOpen(row) ? [] : LOGINS,
    ...(parameters.length === 0 ? {} : {parameters}),
    ...(row.body === undefined ? {} : {requestBody: {required: !row.isBodyOptional, content: content(row.body)}}),
    responses: {'200': success(row), default: {description: 'Refused or failed.', content: content(ERROR)}},
  }
}

const ERROR: JsonSchema = {$ref: '#/components/schemas/Error'}

function success({result, media = 'application/json'}: HttpsRow): Json {
  if (result === undefined) return {description: 'As it is.', content: {[media]: {}}}
  const schema = {type: 'object', properties: {status: {const: 'ok'}, result}, required: ['status', 'result']}
  return {description: 'Done.', content: content(schema)}
}

function content(schema: JsonSchema): Json {
  return {'application/json': {schema}}
}

function pathParameters(path: string): readonly Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: {type: 'string'},
  }))
}

function queryParameters(query: Readonly<Record<string, JsonSchema>>): readonly Json[] {
  return Object.entries(query).map(([name, schema]) => ({name, in: 'query', schema}))
}

function isOpen({need}: HttpsRow): boolean {
  return typeof need !== 'function' && need.kind === 'anyone'
}

function needText({need}: HttpsRow): string {
  if (typeof need === 'function') return 'Depends on whom it is about.'
  switch (need.kind) {
    case 'anyone':
      return 'For anyone.'
    case 'login':
      return 'For every user.'
    case 'admin':
      return 'For admins.'
    case 'permission':
      return `Needs the permission \`${need.path.join('.')}\`.`
  }
}
