/** Begins like a date; what follows is left to the engine. */
const DATE = /^(\d{4})-(\d{2})-(\d{2})/

/**
 * Reads a time that was typed, as ISO 8601 has it; epoch milliseconds. Without a zone it is local, as times are shown, also a day alone: its first moment.
 * Undefined for what is none, and for a day that no calendar has.
 */
export function givenTimeMs(text: string): number | undefined {
  const [date, year, month, day] = DATE.exec(text) ?? []
  if (date === undefined || !isDay(Number(year), Number(month), Number(day))) return undefined
  const timeMs = Date.parse(text === date ? `${date}T00:00` : text)
  return Number.isFinite(timeMs) && timeMs >= 0 ? timeMs : undefined
}

/** The engine makes the second of March of the thirtieth of February. */
function isDay(year: number, month: number, day: number): boolean {
  const date = new Date(Date.UTC(year, month - 1, day))
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day
}
