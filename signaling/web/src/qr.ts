// A QR code (ISO/IEC 18004) of a short text: byte mode, error correction level M.

import { utf8 } from "./bytes.ts";

// For each version from 1: all codewords, those of error correction in a block, blocks.
const sizes: [number, number, number][] = [
  [26, 10, 1], [44, 16, 1], [70, 26, 1], [100, 18, 2], [134, 24, 2], [172, 16, 4], [196, 18, 4], [242, 22, 4], [292, 22, 5], [346, 26, 5],
];
// Positions of the alignment patterns, for each version from 2.
const squares = [[6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50]];

/** Returns the rows of the code, true for a dark module; undefined for a text that is too long. */
export function qr(text: string): boolean[][] | undefined {
  const bytes = utf8(text);
  const version = sizes.findIndex(([all, ec, blocks], i) => bytes.length + (i < 9 ? 2 : 3) <= all - ec * blocks) + 1;
  if (version === 0) return undefined;
  const codewords = interleave(encode(bytes, version), version);
  let best: Grid | undefined, least = Infinity;
  for (let mask = 0; mask < 8; mask++) {
    const g = new Grid(version, mask);
    g.fill(codewords, mask);
    const p = g.penalty();
    if (p < least) [best, least] = [g, p];
  }
  return best!.dark;
}

/** Returns the data codewords: mode, length, bytes, padding. */
function encode(bytes: Uint8Array, version: number): Uint8Array {
  const [all, ec, blocks] = sizes[version - 1]!;
  const out = new Uint8Array(all - ec * blocks);
  let at = 0;
  const put = (value: number, bits: number) => {
    for (let i = bits - 1; i >= 0; i--, at++) out[at >> 3]! |= ((value >> i) & 1) << (7 - (at & 7));
  };
  put(4, 4);
  put(bytes.length, version < 10 ? 8 : 16);
  bytes.forEach((b) => put(b, 8));
  at = Math.min(at + 4, out.length * 8);
  for (let i = Math.ceil(at / 8), pad = 0xec; i < out.length; i++, pad ^= 0xec ^ 0x11) out[i] = pad;
  return out;
}

/** Splits the data into blocks, adds error correction to each, and interleaves them. */
function interleave(data: Uint8Array, version: number): Uint8Array {
  const [, ec, count] = sizes[version - 1]!;
  const short = Math.floor(data.length / count), long = data.length % count;
  const generator = divisor(ec);
  const blocks: Uint8Array[] = [], corrections: Uint8Array[] = [];
  for (let i = 0, at = 0; i < count; i++) {
    const block = data.subarray(at, (at += short + (i >= count - long ? 1 : 0)));
    blocks.push(block);
    corrections.push(remainder(block, generator));
  }
  const out: number[] = [];
  for (let i = 0; i <= short; i++) for (const b of blocks) if (i < b.length) out.push(b[i]!);
  for (let i = 0; i < ec; i++) for (const c of corrections) out.push(c[i]!);
  return Uint8Array.from(out);
}

/** Multiplies in GF(256) modulo x⁸ + x⁴ + x³ + x² + 1. */
function times(a: number, b: number): number {
  let p = 0;
  for (let i = 7; i >= 0; i--) p = ((p << 1) ^ ((p >> 7) * 0x11d)) ^ (((b >> i) & 1) * a);
  return p;
}

/** Returns the coefficients of (x − 1)(x − 2)(x − 4)… without the highest. */
function divisor(degree: number): Uint8Array {
  const g = new Uint8Array(degree);
  g[degree - 1] = 1;
  for (let i = 0, root = 1; i < degree; i++, root = times(root, 2)) {
    for (let j = 0; j < degree; j++) g[j] = times(g[j]!, root) ^ (g[j + 1] ?? 0);
  }
  return g;
}

function remainder(data: Uint8Array, by: Uint8Array): Uint8Array {
  const r = new Uint8Array(by.length);
  for (const b of data) {
    const factor = b ^ r[0]!;
    r.copyWithin(0, 1);
    r[r.length - 1] = 0;
    by.forEach((c, i) => (r[i]! ^= times(c, factor)));
  }
  return r;
}

const masks: ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

class Grid {
  readonly dark: boolean[][];
  readonly #fixed: boolean[][];
  readonly #size: number;

  constructor(version: number, mask: number) {
    const n = (this.#size = 17 + 4 * version);
    const rows = () => Array.from({ length: n }, () => Array<boolean>(n).fill(false));
    this.dark = rows();
    this.#fixed = rows();
    for (let i = 0; i < n; i++) {
      this.#set(6, i, i % 2 === 0);
      this.#set(i, 6, i % 2 === 0);
    }
    for (const [x, y] of [[3, 3], [n - 4, 3], [3, n - 4]] as const) this.#rings(x, y, 4, [2, 4]);
    const at = squares[version - 2] ?? [], last = at.length - 1;
    at.forEach((x, i) => at.forEach((y, j) => {
      if (!(i === 0 && j === 0) && !(i === 0 && j === last) && !(i === last && j === 0)) this.#rings(x, y, 2, [1]);
    }));
    this.#format(mask);
    if (version >= 7) this.#version(version);
  }

  #set(x: number, y: number, dark: boolean) {
    if (this.dark[y]?.[x] === undefined) return;
    this.dark[y]![x] = dark;
    this.#fixed[y]![x] = true;
  }

  /** A square of rings around a point, of which those in light are light. */
  #rings(x: number, y: number, radius: number, light: number[]) {
    for (let dy = -radius; dy <= radius; dy++) {
      for (let dx = -radius; dx <= radius; dx++) this.#set(x + dx, y + dy, !light.includes(Math.max(Math.abs(dx), Math.abs(dy))));
    }
  }

  #format(mask: number) {
    let r = mask; // level M is 00
    for (let i = 0; i < 10; i++) r = (r << 1) ^ ((r >> 9) * 0x537);
    const bits = ((mask << 10) | r) ^ 0x5412, n = this.#size;
    const bit = (i: number) => ((bits >> i) & 1) === 1;
    for (let i = 0; i <= 5; i++) this.#set(8, i, bit(i));
    this.#set(8, 7, bit(6));
    this.#set(8, 8, bit(7));
    this.#set(7, 8, bit(8));
    for (let i = 9; i < 15; i++) this.#set(14 - i, 8, bit(i));
    for (let i = 0; i < 8; i++) this.#set(n - 1 - i, 8, bit(i));
    for (let i = 8; i < 15; i++) this.#set(8, n - 15 + i, bit(i));
    this.#set(8, n - 8, true);
  }

  #version(version: number) {
    let r = version;
    for (let i = 0; i < 12; i++) r = (r << 1) ^ ((r >> 11) * 0x1f25);
    const bits = (version << 12) | r;
    for (let i = 0; i < 18; i++) {
      const a = this.#size - 11 + (i % 3), b = Math.floor(i / 3);
      this.#set(a, b, ((bits >> i) & 1) === 1);
      this.#set(b, a, ((bits >> i) & 1) === 1);
    }
  }

  /** Writes the codewords, in pairs of columns from the right, up and down. */
  fill(codewords: Uint8Array, mask: number) {
    let at = 0, up = true;
    for (let right = this.#size - 1; right > 0; right -= right === 8 ? 3 : 2, up = !up) { // column 6 has the timing pattern
      for (let i = 0; i < this.#size; i++) {
        const y = up ? this.#size - 1 - i : i;
        for (const x of [right, right - 1]) {
          if (this.#fixed[y]![x]) continue;
          const bit = ((codewords[at >> 3] ?? 0) >> (7 - (at & 7))) & 1;
          this.dark[y]![x] = (bit === 1) !== masks[mask]!(x, y);
          at++;
        }
      }
    }
  }

  /** Returns how hard the code may be to read (section 7.8.3). */
  penalty(): number {
    const n = this.#size, d = this.dark;
    let sum = 0, count = 0;
    const rows = d.map((r) => r.map((b) => (b ? "1" : "0")).join(""));
    const columns = d.map((_, x) => d.map((r) => (r[x] ? "1" : "0")).join(""));
    for (const line of [...rows, ...columns]) {
      for (const run of line.match(/0{5,}|1{5,}/g) ?? []) sum += run.length - 2;
      for (let i = 0; i + 11 <= n; i++) if (/^(10111010000|00001011101)/.test(line.slice(i, i + 11))) sum += 40;
    }
    for (let y = 0; y < n; y++) {
      for (let x = 0; x < n; x++) {
        if (d[y]![x]) count++;
        if (x > 0 && y > 0 && d[y]![x] === d[y]![x - 1] && d[y]![x] === d[y - 1]![x] && d[y]![x] === d[y - 1]![x - 1]) sum += 3;
      }
    }
    return sum + 10 * Math.floor(Math.abs((count * 20) / (n * n) - 10));
  }
}
