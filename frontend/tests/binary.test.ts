import { describe, expect, it } from "vitest";
import { decodeOutlines, decodeSquares, decodeTissue } from "../src/binary";
import { FLOATS, GAP, fillTriangles, lineVertices } from "../src/viewer/geometry";

/** A square with a hole and a triangle, as the server writes them. */
function bytes(): ArrayBuffer {
  const xy = [0, 0, 8, 0, 8, 8, 0, 8, 2, 2, 2, 6, 6, 6, 6, 2, 20, 0, 24, 0, 20, 3];
  const u32 = Uint32Array.from([0x31434248, 2, 3, 11, 7, 9, 0, 2, 3, 0, 4, 8, 11]);
  const f32 = Float32Array.from([...xy, 0, 0, 8, 8, 20, 0, 24, 3, NaN, 0.5, 48, 6]);
  const codes = Int8Array.from([-1, 3]);
  const whole = new Uint8Array(u32.byteLength + f32.byteLength + codes.byteLength);
  whole.set(new Uint8Array(u32.buffer), 0);
  whole.set(new Uint8Array(f32.buffer), u32.byteLength);
  whole.set(new Uint8Array(codes.buffer), u32.byteLength + f32.byteLength);
  return whole.buffer;
}

describe("outlines", () => {
  const tile = decodeOutlines(bytes());
  it("are read without copying", () => {
    expect([...tile.ids]).toEqual([7, 9]);
    expect([...tile.objectRings]).toEqual([0, 2, 3]);
    expect([...tile.code]).toEqual([-1, 3]);
    expect(tile.prob[0]).toBeNaN();
    expect([...tile.area]).toEqual([48, 6]);
  });
  it("of other bytes are refused", () => expect(() => decodeOutlines(new ArrayBuffer(64))).toThrow("Expected outlines"));

  it("become closed lines with gaps between", () => {
    const { vertices, ringStart } = lineVertices(tile);
    expect([...ringStart]).toEqual([0, 5, 10, 14]);
    const codes = Array.from({ length: 14 }, (_, n) => vertices[n * FLOATS + 3]);
    expect(codes).toEqual([-1, -1, -1, -1, GAP, -1, -1, -1, -1, GAP, 3, 3, 3, GAP]);
    expect([...vertices.slice(4 * FLOATS, 4 * FLOATS + 2)]).toEqual([0, 0]);
    expect(vertices[2]).toBe(2); // no class: never below a threshold
  });
  it("are filled without their holes", () => {
    const { vertices, ringStart } = lineVertices(tile);
    const triangles = fillTriangles(tile, ringStart);
    let area = 0;
    for (let n = 0; n < triangles.length; n += 3) {
      const [a, b, c] = [0, 1, 2].map((k) => [vertices[triangles[n + k] * FLOATS], vertices[triangles[n + k] * FLOATS + 1]]);
      area += Math.abs((b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])) / 2;
    }
    expect(area).toBeCloseTo(64 - 16 + 6);
  });
});

describe("tissue", () => {
  it("is read", () => {
    const whole = new Uint8Array(16 + 2 * (2 + 2 + 1 + 3));
    new DataView(whole.buffer).setUint32(0, 0x31544248, true);
    new DataView(whole.buffer).setUint32(4, 2, true);
    new DataView(whole.buffer).setUint32(8, 3, true);
    new DataView(whole.buffer).setFloat32(12, 288, true);
    whole.set([1, 0, 2, 0, 5, 0, 6, 0, 2, 1, 0, 55, 200, 0, 255, 0], 16);
    const cells = decodeTissue(whole.buffer);
    expect([cells.side, [...cells.column], [...cells.row], [...cells.code]]).toEqual([288, [1, 2], [5, 6], [2, 1]]);
    expect([...cells.prob]).toEqual([0, 55, 200, 0, 255, 0]);
  });
});

describe("squares", () => {
  it("are read kind by kind", () => {
    const u32 = Uint32Array.from([0x32474248, 2, 3, 0, 0, 4, 0, 1, 7, 8, 9, 0, 0, 0, 0, 0, 0]);
    new Float32Array(u32.buffer, 12, 2).set([6.5, 80]);
    new Float32Array(u32.buffer, 44, 6).set([9, 0, 7.5, 100, 120, 90]);
    const [nuclei, glands] = decodeSquares(u32.buffer);
    expect([nuclei.diameterUm, [...nuclei.counts], [...nuclei.reaches], nuclei.reach]).toEqual([6.5, [4, 0, 1], [9, 0, 7.5], 9]);
    expect([glands.diameterUm, [...glands.counts], [...glands.reaches], glands.reach]).toEqual([80, [7, 8, 9], [100, 120, 90], 120]);
  });
  it("of other bytes are refused", () => expect(() => decodeSquares(new ArrayBuffer(64))).toThrow("Expected squares"));
});
