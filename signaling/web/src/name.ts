// What a stranger may be called: chat/name.go for a browser.

export const stranger = "stranger";

const most = 64;

/** Makes what a side calls itself fit for a line. It must not pass for the program. */
export function properName(name: string): string {
  const proper = Array.from(name).filter(seen).slice(0, most).join("").trim();
  return proper === "" || looksLike(proper).startsWith("p2pchat") ? stranger : proper;
}

// What looks like the letters of the program's name: chat/lookalike.go has the same.
const homoglyphs: Record<string, string> = {
  2: "Ƨƨᒿ२❷➁➋⓶",
  a: "аАαΑɑᴀⲀⲁᎪꓮ@🅐🅰🇦",
  c: "сСϲϹᴄⲤⲥᏟꓚ©🅒🅲🇨",
  h: "һҺнНհηΗħĦɦʜⲎⲏᎻᏂꓧ🅗🅷🇭",
  p: "рРҏҎρΡϱƿᴘⲢⲣᏢꓑ⍴🅟🅿🇵",
  t: "тТτΤᴛⲦⲧᎢꓔ†🅣🆃🇹",
};
const likes = new Map(Object.entries(homoglyphs).flatMap(([like, all]) => Array.from(all, (c) => [c, like] as const)));

/** A name without signs and marks, and with the letters that its own look like. */
const looksLike = (name: string): string =>
  Array.from(name, (c) => likes.get(c) ?? c.normalize("NFKD")).join("").replace(/[^\p{L}\p{N}]/gu, "").toLowerCase();

/** Whether a character can be seen: some of what counts as printable leaves no trace. */
const seen = (c: string): boolean =>
  /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(c) && !/^[\p{Default_Ignorable_Code_Point}\p{Variation_Selector}]$/u.test(c);

/** Makes visible what steers a terminal, or the order of letters, as the terminal program does: ␛ for an escape. */
export function visible(text: string): string {
  return text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, (c) => {
    const code = c.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? "␡" : `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
  });
}

/** Makes what the other side calls a file fit for one: no path, nothing that steers. The browser takes away what its system does not allow. */
export function properFile(name: unknown): string {
  const last = typeof name === "string" ? (name.split(/[/\\]/).pop() ?? "") : "";
  const proper = Array.from(last.replace(/[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, "")).slice(0, 120).join("").replace(/^[. ]+/, "");
  return Array.from(proper).some((c) => c !== " " && seen(c)) ? proper : "file";
}

/** Makes what the other side gives as a reason fit for a line. */
export function properReason(why: unknown): string {
  const shown = typeof why === "string" ? Array.from(why).filter(seen).slice(0, 200).join("").trim() : "";
  return shown || "the other side cancelled it";
}
