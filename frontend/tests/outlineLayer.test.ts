import { afterEach, describe, expect, it, vi } from "vitest";
import type { Slide } from "../src/api";
import type { Affine } from "../src/view";
import { OutlineLayer } from "../src/viewer/outlineLayer";
import type { Painter } from "../src/viewer/painter";

const CELL = 512;
const SIDE = 40 * CELL;
const NO_OUTLINES = Uint32Array.from([0x31434248, 0, 0, 0, 0, 0]).buffer;

/** Glands, one a square, of which one in the corner of the slide reaches as far as is said. */
function squares(reach: number): ArrayBuffer {
  const size = (SIDE / CELL) ** 2;
  const bytes = new ArrayBuffer(4 * (3 + 1 + 2 * size));
  new Uint32Array(bytes, 0, 3).set([0x32474248, 1, size]);
  new Uint32Array(bytes, 16, size).fill(1);
  const reaches = new Float32Array(bytes, 16 + 4 * size, size).fill(200);
  reaches[0] = reach;
  return bytes;
}

/** A layer, what it asked for and what it said; `answer` gives the outlines. */
async function layerOf(reach: number, answer: () => ArrayBuffer) {
  const asked: string[] = [];
  const said: string[] = [];
  vi.stubGlobal("fetch", async (url: string) => {
    if (url.includes("squares.bin")) return new Response(squares(reach));
    asked.push(/outlines\/gland\/(.*)\.bin/.exec(url)![1]);
    return new Response(answer());
  });
  const slide = { name: "a", stamp: "s", width: SIDE, height: SIDE, cell: CELL, details: 13, kinds: [{ kind: "gland", count: 1600 }] };
  const painter = { upload: () => ({}), free: () => undefined };
  const layer = new OutlineLayer(slide as unknown as Slide, painter as unknown as Painter, () => undefined, (reason) => said.push(reason));
  await layer.start();
  /** A screen of 800 x 600 at 4:1 whose corner is there; painted twice, as a page at rest may be. */
  const look = async (x: number, y: number) => {
    const matrix: Affine = { a: 4, b: 0, c: 0, d: 4, e: -4 * x, f: -4 * y };
    for (let frame = 0; frame < 2; frame++) {
      layer.update(matrix, 800, 600, 1, () => true);
      await vi.waitUntil(() => layer.isComplete);
      layer.shown("gland");
    }
  };
  return { layer, asked, said, look };
}

afterEach(() => vi.unstubAllGlobals());

describe("outlines in view", () => {
  it("do not become dots because of one long object elsewhere", async () => {
    const { layer, asked, look } = await layerOf(8000, () => NO_OUTLINES);
    await look(20.5 * CELL, 20.5 * CELL);
    expect([layer.covers("gland"), layer.isDense("gland")]).toEqual([true, false]);
    expect(asked).toEqual(["0/20_20", "0/21_20", "0/20_21", "0/21_21"]);
  });
  it("have those that reach into it from far away", async () => {
    const { layer, asked, look } = await layerOf(8000, () => NO_OUTLINES);
    await look(12.5 * CELL, 12.5 * CELL);
    expect(asked).toContain("0/0_0");
    expect(layer.covers("gland")).toBe(true);
  });
  it("are asked for once where they do not come, and again after one looked elsewhere", async () => {
    const good = { are: false };
    const { layer, asked, said, look } = await layerOf(200, () => (good.are ? NO_OUTLINES : new ArrayBuffer(64)));
    const here = [20.5 * CELL, 20.5 * CELL] as const;
    await look(...here);
    await look(...here);
    const first = [...asked];
    expect(new Set(first).size).toBe(first.length);
    expect(said).toEqual(first.map(() => "Expected outlines, found other bytes."));
    expect(layer.covers("gland")).toBe(false);
    good.are = true;
    await look(5 * CELL, 5 * CELL);
    asked.length = 0;
    await look(...here);
    expect(asked.sort()).toEqual(first.sort());
    expect(layer.covers("gland")).toBe(true);
  });
});
