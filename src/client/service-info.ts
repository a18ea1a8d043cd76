/** Limits of one call. */
export interface CallOptions {
  /** From the call to the answer; the client's own when absent. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** What a service says of itself when it registers. */
export interface ServiceInfo {
  readonly name: string
  readonly host: string
  readonly port: number
  /** Registering an id again replaces its entry. Without one the registry makes one. */
  readonly id?: string | undefined
  readonly type?: string | undefined
  readonly tags?: readonly string[] | undefined
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
  /** Refuses to be the second of its type. */
  readonly singleton?: boolean | undefined
  /** May be one of several of its type even where the registry wants types to be unique. */
  readonly allowDuplicateType?: boolean | undefined
  /** More members of the service object, kept and given back as they are. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined
}

export interface RegisterOptions extends CallOptions {
  /** Seconds without a renewal after which the lease ends; 30 when absent. */
  readonly ttlS?: number | undefined
}

/** As the Python clients have it. */
export const DEFAULT_TTL_S = 30

/** Gives the `service_info` of a request. */
export function encodeServiceInfo(info: ServiceInfo): Readonly<Record<string, unknown>> {
  const {allowDuplicateType, extra, tags = [], ...rest} = info
  return {...extra, ...rest, tags, allow_duplicate_service_type: allowDuplicateType}
}

/** Gives a signal that aborts with either. */
export function eitherSignal(one: AbortSignal | undefined, other: AbortSignal | undefined): AbortSignal | undefined {
  return one !== undefined && other !== undefined && one !== other ? AbortSignal.any([one, other]) : (one ?? other)
}
