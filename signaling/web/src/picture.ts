// Recognizes the pictures that the page shows: by their first bytes, not by their names, and only if the browser decodes them in
// little memory.

const maxBytes = 32 << 20, maxPixels = 40e6, head = 256 << 10; // bytes in which a JPEG names its size

export interface Picture {
  readonly type: string;
  readonly width: number;
  readonly height: number;
}

/** Returns the kind and size of a picture; undefined for other files and for pictures that are too large. */
export async function picture(file: Blob): Promise<Picture | undefined> {
  if (file.size > maxBytes || file.size < 32) return undefined;
  const buffer = await file.slice(0, head).arrayBuffer();
  let p: Picture | undefined;
  try {
    p = read(new DataView(buffer));
  } catch { // the file ends before its size
    return undefined;
  }
  return p && p.width > 0 && p.height > 0 && p.width * p.height <= maxPixels ? p : undefined;
}

function read(b: DataView): Picture | undefined {
  const text = (at: number, n: number) => String.fromCharCode(...new Uint8Array(b.buffer, at, n));
  if (b.getUint32(0) === 0x89504e47 && b.getUint32(4) === 0x0d0a1a0a && text(12, 4) === "IHDR") {
    return { type: "image/png", width: b.getUint32(16), height: b.getUint32(20) };
  }
  if (/^GIF8[79]a$/.test(text(0, 6))) return { type: "image/gif", width: b.getUint16(6, true), height: b.getUint16(8, true) };
  if (text(0, 4) === "RIFF" && text(8, 4) === "WEBP") return webp(b, text(12, 4));
  if (b.getUint16(0) === 0xffd8) return jpeg(b);
  return undefined;
}

function webp(b: DataView, chunk: string): Picture | undefined {
  const type = "image/webp";
  if (chunk === "VP8 ") return { type, width: b.getUint16(26, true) & 0x3fff, height: b.getUint16(28, true) & 0x3fff };
  if (chunk === "VP8L") {
    const bits = b.getUint32(21, true);
    return { type, width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
  }
  const uint24 = (at: number) => b.getUint16(at, true) | (b.getUint8(at + 2) << 16);
  return chunk === "VP8X" ? { type, width: uint24(24) + 1, height: uint24(27) + 1 } : undefined;
}

/** Finds the start of frame: a marker from C0 to CF that starts no table. */
function jpeg(b: DataView): Picture | undefined {
  for (let at = 2; b.getUint8(at) === 0xff; at += 2 + b.getUint16(at + 2)) {
    const marker = b.getUint8(at + 1);
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return { type: "image/jpeg", width: b.getUint16(at + 7), height: b.getUint16(at + 5) };
    }
  }
  return undefined;
}
