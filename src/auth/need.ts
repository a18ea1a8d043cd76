/** What a method asks of its caller. Every row of the table of methods has one, or a function that gives one for the arguments of a call. */
export type Need =
  /** Whoever reaches the listener, logged in or not. */
  | {readonly kind: 'anyone'}
  /** Any user that is not locked. */
  | {readonly kind: 'login'}
  | {readonly kind: 'admin'}
  /** A user whom the rules allow it; `byDefault` decides when no rule says anything. */
  | {
      readonly kind: 'permission'
      readonly path: readonly string[]
      readonly byDefault?: boolean
      readonly gate?: string
    }
