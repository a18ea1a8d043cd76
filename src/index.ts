/**
 * The library: reach a registry from a program, or run one in it.
 *
 *     import {RegistryClient} from '@devops-registry/cli'
 *
 *     await using registry = await RegistryClient.connect('zmq://127.0.0.1:5556')
 *     await using kept = registry.keep({name: 'cam1', type: 'camera', host: '127.0.0.1', port: 5000})
 *     await kept.ready()
 *     const camera = await registry.discover('camera')
 *     for await (const event of registry.watch({type: 'camera'})) console.log(event.kind)
 *
 * or any Synapse service, by Telepath:
 *
 *     await using axon = await openTelepath('aha://axon...')
 *     console.log(await axon.call('metrics'))
 */
export {ERRORS, type ErrorCode, type ErrorSpec, RegistryError} from './base/errors.ts'
export type {RegistryHealth, RegistryInfo, ServerFacts} from './client/answers.ts'
export type {ServiceFilter} from './client/filter.ts'
export type {KeepOptions, KeepState, Kept} from './client/keep.ts'
export {ownAddressTowards} from './client/own-address.ts'
export {type ClientOptions, RegistryClient} from './client/registry-client.ts'
export type {ServiceEntry} from './client/service-entry.ts'
export type {CallOptions, RegisterOptions, ServiceInfo} from './client/service-info.ts'
export {type OpenTelepathOptions, openTelepath} from './client/telepath/open.ts'
export type {OpenOptions} from './client/telepath/open-url.ts'
export {
  type ClientOptions as TelepathClientOptions,
  type TeleEnv,
  type TeleEnvOptions,
  withTeleEnv,
} from './client/telepath/tele-env.ts'
export type {ProxyWait, TelepathClient} from './client/telepath/telepath-client.ts'
export type {TelepathPool} from './client/telepath/telepath-pool.ts'
export {parseRegistryUrl, type RegistryAddress} from './client/url.ts'
export type {ServiceWatch, WatchEvent, WatchOptions} from './client/watch.ts'
export type {RunningRegistry} from './server/running-registry.ts'
export {type ServeOptions, serve} from './server/serve.ts'
export type {
  Appended,
  Effect,
  Entry,
  NewEntry,
  RecordChange,
  Renewal,
  Store,
  StoredInstance,
  StoredRecord,
  StoreHead,
  StoreSize,
} from './store/store.ts'
export {Float, RawText, Timestamp, type Value} from './wire/msgpack/value.ts'
export type {Callable, CallOptions as TelepathCallOptions, TelepathProxy} from './wire/telepath/caller.ts'
export type {ShareInfo} from './wire/telepath/share.ts'
