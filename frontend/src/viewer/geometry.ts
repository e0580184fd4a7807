// What a tile of outlines becomes on the graphics card.

import earcut from "earcut";
import type { OutlineTile } from "../binary";

/** Class of the point that closes a ring: no segment begins there. */
export const GAP = -2;
export const FLOATS = 4;

/** Closed rings as x, y, probability, class per point; and where each ring begins in them. */
export function lineVertices(tile: OutlineTile): { vertices: Float32Array; ringStart: Uint32Array } {
  const rings = tile.ringPoints.length - 1;
  const vertices = new Float32Array((tile.xy.length / 2 + rings) * FLOATS);
  const ringStart = new Uint32Array(rings + 1);
  let at = 0;
  for (let n = 0; n < tile.count; n++) {
    for (let ring = tile.objectRings[n]; ring < tile.objectRings[n + 1]; ring++) {
      const [first, last] = [tile.ringPoints[ring], tile.ringPoints[ring + 1]];
      ringStart[ring] = at / FLOATS;
      for (let p = first; p <= last; p++) {
        const source = p === last ? first : p;
        vertices[at] = tile.xy[2 * source];
        vertices[at + 1] = tile.xy[2 * source + 1];
        vertices[at + 2] = Number.isNaN(tile.prob[n]) ? 2 : tile.prob[n];
        vertices[at + 3] = p === last ? GAP : tile.code[n];
        at += FLOATS;
      }
    }
  }
  ringStart[rings] = at / FLOATS;
  return { vertices, ringStart };
}

/** Triangles that fill the objects, as numbers of the points of `lineVertices`. */
export function fillTriangles(tile: OutlineTile, ringStart: Uint32Array): Uint32Array {
  const found: number[] = [];
  for (let n = 0; n < tile.count; n++) {
    const flat: number[] = [];
    const holes: number[] = [];
    const numbers: number[] = [];
    for (let ring = tile.objectRings[n]; ring < tile.objectRings[n + 1]; ring++) {
      if (flat.length) holes.push(flat.length / 2);
      const [first, last] = [tile.ringPoints[ring], tile.ringPoints[ring + 1]];
      for (let p = first; p < last; p++) {
        flat.push(tile.xy[2 * p], tile.xy[2 * p + 1]);
        numbers.push(ringStart[ring] + p - first);
      }
    }
    for (const corner of earcut(flat, holes)) found.push(numbers[corner]);
  }
  return Uint32Array.from(found);
}
