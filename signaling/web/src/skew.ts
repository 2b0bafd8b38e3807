// How far this machine's clock is from the server's: contacts meet in rooms that follow from the time.

const hour = 3_600_000; // ms

/** Returns what a person should know whose clock is that many ms ahead of the server's, if contacts may not be met for it; else "". */
export function skewText(ahead: number, server: string): string {
  const hours = Math.round(Math.abs(ahead) / hour);
  if (!(hours >= 2)) return ""; // contacts meet if their clocks are in the same hour, or in one and the next
  return `This machine’s clock is ${hours} hours ${ahead < 0 ? "behind" : "ahead of"} that of ${server}. Contacts meet by the clock: if yours is wrong, set it and load the page again, or the two of you cannot meet.`;
}
