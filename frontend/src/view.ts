// Where one looks: from level-0 pixels of the slide to pixels of the screen and back.

export interface Point {
  x: number;
  y: number;
}

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** screen = [a c; b d] image + (e, f) */
export interface Affine {
  a: number;
  b: number;
  c: number;
  d: number;
  e: number;
  f: number;
}

export function apply(m: Affine, p: Point): Point {
  return { x: m.a * p.x + m.c * p.y + m.e, y: m.b * p.x + m.d * p.y + m.f };
}

export function inverse(m: Affine): Affine {
  const det = m.a * m.d - m.b * m.c;
  const [a, b, c, d] = [m.d / det, -m.b / det, -m.c / det, m.a / det];
  return { a, b, c, d, e: -(a * m.e + c * m.f), f: -(b * m.e + d * m.f) };
}

/** Screen pixels per level-0 pixel. */
export function scaleOf(m: Affine): number {
  return Math.sqrt(Math.abs(m.a * m.d - m.b * m.c));
}

/** The four corners of the screen in level-0 pixels. */
export function corners(m: Affine, width: number, height: number): Point[] {
  const back = inverse(m);
  const screen = [
    { x: 0, y: 0 },
    { x: width, y: 0 },
    { x: width, y: height },
    { x: 0, y: height },
  ];
  return screen.map((p) => apply(back, p));
}

export function boundsOf(points: Point[]): Box {
  const xs = points.map((p) => p.x);
  const ys = points.map((p) => p.y);
  return {
    left: Math.min(...xs),
    top: Math.min(...ys),
    right: Math.max(...xs),
    bottom: Math.max(...ys),
  };
}

export interface TileKey {
  detail: number;
  column: number;
  row: number;
}

/** Columns and rows of the squares of a side that a box touches, inside a slide of that size; the last ones too. */
function span(box: Box, side: number, width: number, height: number): Box {
  const last = (size: number) => Math.max(0, Math.ceil(size / side) - 1);
  const first = (value: number) => Math.max(0, Math.floor(value / side));
  return {
    left: first(box.left),
    top: first(box.top),
    right: Math.min(last(width), Math.floor(box.right / side)),
    bottom: Math.min(last(height), Math.floor(box.bottom / side)),
  };
}

/** Tiles of squares of `cell * 2**detail` pixels that a box touches, inside a slide of that size. */
export function tilesIn(box: Box, cell: number, detail: number, width: number, height: number): TileKey[] {
  const { left, top, right, bottom } = span(box, cell * 2 ** detail, width, height);
  const found: TileKey[] = [];
  for (let row = top; row <= bottom; row++)
    for (let column = left; column <= right; column++) found.push({ detail, column, row });
  return found;
}

/** Tiles that a box touches, and those around it with a square whose objects reach into it. */
export function tilesReaching(box: Box, { reaches, reach }: { reaches: Float32Array; reach: number }, cell: number, detail: number, width: number, height: number): TileKey[] {
  const columns = Math.max(1, Math.ceil(width / cell));
  const around = { left: box.left - reach, top: box.top - reach, right: box.right + reach, bottom: box.bottom + reach };
  const { left, top, right, bottom } = span(around, cell, width, height);
  const place = (column: number, row: number) => row * columns + column;
  const wanted = new Set(tilesIn(box, cell, detail, width, height).map(({ column, row }) => place(column, row)));
  for (let row = top; row <= bottom; row++)
    for (let column = left; column <= right; column++) {
      const across = Math.max(box.left - (column + 1) * cell, column * cell - box.right);
      const down = Math.max(box.top - (row + 1) * cell, row * cell - box.bottom);
      const away = Math.max(across, down);
      if (away > 0 && away <= reaches[place(column, row)]) wanted.add(place(column >> detail, row >> detail));
    }
  return tilesIn(around, cell, detail, width, height).filter(({ column, row }) => wanted.has(place(column, row)));
}

/** How coarse outlines may be at a scale: they are moved by about half a screen pixel at most, from 2:1 on not at all. */
export function detailAt(scale: number, most: number): number {
  return Math.min(most, Math.max(0, Math.ceil(Math.log2(2 / scale))));
}

/** Objects in a box, by the squares they are counted in. */
export function estimate(grid: Uint32Array, cell: number, width: number, height: number, box: Box): number {
  const columns = Math.max(1, Math.ceil(width / cell));
  let total = 0;
  for (const { column, row } of tilesIn(box, cell, 0, width, height)) {
    const wide = Math.min(box.right, (column + 1) * cell) - Math.max(box.left, column * cell);
    const high = Math.min(box.bottom, (row + 1) * cell) - Math.max(box.top, row * cell);
    total += (grid[row * columns + column] ?? 0) * Math.min(1, (wide * high) / (cell * cell));
  }
  return total;
}

/** True if a point lies in the rings start..end (even-odd), of points x, y, x, y. */
export function insideRings(xy: Float32Array, ringPoints: Uint32Array, start: number, end: number, p: Point): boolean {
  let inside = false;
  for (let ring = start; ring < end; ring++) {
    const [first, last] = [ringPoints[ring], ringPoints[ring + 1]];
    for (let i = first, j = last - 1; i < last; j = i++) {
      const [xi, yi, xj, yj] = [xy[2 * i], xy[2 * i + 1], xy[2 * j], xy[2 * j + 1]];
      if (yi > p.y !== yj > p.y && p.x < ((xj - xi) * (p.y - yi)) / (yj - yi) + xi) inside = !inside;
    }
  }
  return inside;
}

/** Longest length of 1, 2 or 5 times a power of ten micrometres that is at most `most` pixels long. */
export function scaleBar(umPerPx: number, most: number): { px: number; label: string } {
  const limit = umPerPx * most;
  const power = 10 ** Math.floor(Math.log10(limit));
  const um = [5, 2, 1].map((step) => step * power).find((length) => length <= limit) ?? power;
  return { px: um / umPerPx, label: um >= 1000 ? `${um / 1000} mm` : `${um} µm` };
}
