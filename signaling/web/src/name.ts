// Names and texts of strangers, made fit to show: chat/name.go for a browser.

export const stranger = "stranger";

const maxName = 64; // characters

/** Makes a side's name fit for one line. A name that looks like the program's becomes `stranger`. */
export function properName(name: string): string {
  const proper = Array.from(name).filter(seen).slice(0, maxName).join("").trim();
  return proper === "" || looksLike(proper).startsWith("p2pchat") ? stranger : proper;
}

// Characters that look like the letters of the program's name, as in chat/lookalike.go.
const homoglyphs: Record<string, string> = {
  2: "Ƨƨᒿ२❷➁➋⓶",
  a: "аАαΑɑᴀⲀⲁᎪꓮ@🅐🅰🇦",
  c: "сСϲϹᴄⲤⲥᏟꓚ©🅒🅲🇨",
  h: "һҺнНհηΗħĦɦʜⲎⲏᎻᏂꓧ🅗🅷🇭",
  p: "рРҏҎρΡϱƿᴘⲢⲣᏢꓑ⍴🅟🅿🇵",
  t: "тТτΤᴛⲦⲧᎢꓔ†🅣🆃🇹",
};
const likes = new Map(Object.entries(homoglyphs).flatMap(([like, all]) => Array.from(all, (c) => [c, like] as const)));

/** Returns a name's letters and digits, with those that they look like. */
const looksLike = (name: string): string =>
  Array.from(name, (c) => likes.get(c) ?? c.normalize("NFKD")).join("").replace(/[^\p{L}\p{N}]/gu, "").toLowerCase();

/** Returns the form in which names of contacts are compared: two that look alike must not be two contacts. */
export const alike = (name: string): string => Array.from(name.normalize("NFKC").toLowerCase(), (c) => letters.get(c) ?? c).join("");

// Lower-case letters of Cyrillic and Greek that look like one of ASCII (UTS #39), and digits that look like letters.
const looks = "aceopxyijshkmtbnvuwdqlgaopitxenkiol";
const letters = new Map(Array.from("асеорхуіјѕһкмтвпνυԝԁԛӏɡαοριτχεηκı01", (c, i) => [c, looks[i]!] as const));

/** Reports whether a character is visible: some printable ones leave no trace. */
const seen = (c: string): boolean =>
  /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(c) && !/^[\p{Default_Ignorable_Code_Point}\p{Variation_Selector}]$/u.test(c);

/** Makes control characters visible, of terminals and of text direction, as the terminal program does: ␛ for an escape. */
export function visible(text: string): string {
  return text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, (c) => {
    const code = c.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? "␡" : `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
  });
}

/** Makes the other side's name of a file fit to save: without a path and control characters. The browser removes what its system does not allow. */
export function properFile(name: unknown): string {
  const last = typeof name === "string" ? (name.split(/[/\\]/).pop() ?? "") : "";
  const proper = Array.from(last.replace(/[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, "")).slice(0, 120).join("").replace(/^[. ]+/, "");
  return Array.from(proper).some((c) => c !== " " && seen(c)) ? proper : "file";
}

/** Makes the other side's reason fit for one line. */
export function properReason(why: unknown): string {
  const shown = typeof why === "string" ? Array.from(why).filter(seen).slice(0, 200).join("").trim() : "";
  return shown || "the other side cancelled it";
}
