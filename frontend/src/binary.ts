// Binary answers of the server: typed arrays over the bytes as they came, nothing per object.

export interface OutlineTile {
  count: number;
  ids: Uint32Array;
  /** Ring r of object n: objectRings[n] <= r < objectRings[n + 1]. */
  objectRings: Uint32Array;
  /** Point p of ring r: ringPoints[r] <= p < ringPoints[r + 1]. */
  ringPoints: Uint32Array;
  /** x, y relative to the corner of the tile, level-0 pixels. */
  xy: Float32Array;
  /** left, top, right, bottom, relative too. */
  boxes: Float32Array;
  /** NaN where an object has no class. */
  prob: Float32Array;
  area: Float32Array;
  /** -1 where an object has no class. */
  code: Int8Array;
}

/** Where the objects of a kind are. */
export interface Squares {
  diameterUm: number;
  /** Objects of every square, in raster order. */
  counts: Uint32Array;
  /** How far the objects of every square reach beyond their centroids at most, in level-0 pixels. */
  reaches: Float32Array;
  /** The largest of them. */
  reach: number;
}

export interface TissueCells {
  side: number;
  classes: number;
  column: Uint16Array;
  row: Uint16Array;
  code: Uint8Array;
  /** classes per cell, 255 is 1. */
  prob: Uint8Array;
}

const OUTLINES = 0x31434248;
const TISSUE = 0x31544248;
const SQUARES = 0x32474248;

/** Walks through a buffer, one array after the other. */
class Cursor {
  private at = 0;
  constructor(private readonly buffer: ArrayBuffer) {}

  u32(length: number): Uint32Array {
    return new Uint32Array(this.buffer, this.step(4 * length), length);
  }
  f32(length: number): Float32Array {
    return new Float32Array(this.buffer, this.step(4 * length), length);
  }
  u16(length: number): Uint16Array {
    return new Uint16Array(this.buffer, this.step(2 * length), length);
  }
  i8(length: number): Int8Array {
    return new Int8Array(this.buffer, this.step(length), length);
  }
  u8(length: number): Uint8Array {
    return new Uint8Array(this.buffer, this.step(length), length);
  }
  private step(bytes: number): number {
    const at = this.at;
    this.at += bytes;
    return at;
  }
}

export function decodeOutlines(buffer: ArrayBuffer): OutlineTile {
  const cursor = new Cursor(buffer);
  const [magic, count, rings, points] = cursor.u32(4);
  if (magic !== OUTLINES) throw new Error("Expected outlines, found other bytes.");
  return {
    count,
    ids: cursor.u32(count),
    objectRings: cursor.u32(count + 1),
    ringPoints: cursor.u32(rings + 1),
    xy: cursor.f32(2 * points),
    boxes: cursor.f32(4 * count),
    prob: cursor.f32(count),
    area: cursor.f32(count),
    code: cursor.i8(count),
  };
}

/** Kind by kind. */
export function decodeSquares(buffer: ArrayBuffer): Squares[] {
  const cursor = new Cursor(buffer);
  const [magic, kinds, size] = cursor.u32(3);
  if (magic !== SQUARES) throw new Error("Expected squares, found other bytes.");
  const diameters = [...cursor.f32(kinds)];
  const counts = diameters.map(() => cursor.u32(size));
  const reaches = diameters.map(() => cursor.f32(size));
  return diameters.map((diameterUm, n) => ({ diameterUm, counts: counts[n], reaches: reaches[n], reach: reaches[n].reduce((a, b) => Math.max(a, b), 0) }));
}

export function decodeTissue(buffer: ArrayBuffer): TissueCells {
  const cursor = new Cursor(buffer);
  const [magic, count, classes] = cursor.u32(3);
  if (magic !== TISSUE) throw new Error("Expected cells of tissue, found other bytes.");
  const [side] = cursor.f32(1);
  return {
    side,
    classes,
    column: cursor.u16(count),
    row: cursor.u16(count),
    code: cursor.u8(count),
    prob: cursor.u8(count * classes),
  };
}
