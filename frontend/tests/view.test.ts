import { describe, expect, it } from "vitest";
import { PLAIN, readAddress, writeAddress, type Address } from "../src/address";
import { areaOnSlide } from "../src/polygon";
import { decimal, words } from "../src/panels/format";
import { apply, boundsOf, corners, detailAt, estimate, insideRings, inverse, scaleBar, scaleOf, tilesIn, tilesReaching, type Affine } from "../src/view";

const TURNED: Affine = { a: 0.6, b: 0.8, c: -0.8, d: 0.6, e: 40, f: -7 };

describe("addresses", () => {
  const address: Address = {
    page: "slide",
    slide: "a b/ü?&#",
    place: { x: 12345.5, y: 6.1, zoom: 0.125, rotation: 30 },
    layers: { off: ["gland", "nucleus/plasma"], filled: true, opacity: 0.5, least: 0.25, tissue: true, tissueOpacity: 0.7, map: "nuclei.type/plasma", mapOpacity: 0.4 },
    selected: 17,
    compare: "changes",
    other: 23,
  };
  it("come back as they went", () => expect(readAddress(writeAddress(address))).toEqual(address));
  it("leave out what is plain", () => {
    const plain = { ...address, place: null, layers: PLAIN, selected: null, compare: "" as const, other: null, slide: "s" };
    expect(writeAddress(plain)).toBe("#/slide/s");
    expect(readAddress("#/slide/s")).toEqual(plain);
  });
  it("survive nonsense", () => {
    const read = readAddress("#/slide/s?x=a&y=1&zoom=-3&opacity=7&least=x&object=&compare=all&other=b");
    expect(read).toEqual({ page: "slide", slide: "s", place: null, layers: PLAIN, selected: null, compare: "", other: null });
    expect(readAddress("").page).toBe("cohort");
    expect(readAddress("#/slide/50%%20of%20it").slide).toBe("50% of it");
    expect(readAddress("#/slide/a%FF").slide).toBe("a%FF");
  });
});

describe("views", () => {
  it("go back where they came from", () => {
    const there = apply(TURNED, { x: 3, y: 5 });
    const back = apply(inverse(TURNED), there);
    expect(back.x).toBeCloseTo(3, 10);
    expect(back.y).toBeCloseTo(5, 10);
    expect(scaleOf(TURNED)).toBeCloseTo(1, 10);
  });
  it("know their corners", () => {
    const box = boundsOf(corners({ a: 2, b: 0, c: 0, d: 2, e: -20, f: 0 }, 100, 50));
    expect(box).toEqual({ left: 10, top: 0, right: 60, bottom: 25 });
  });
  it("need the tiles they touch, inside the slide", () => {
    const keys = tilesIn({ left: -9, top: 600, right: 1024, bottom: 5000 }, 512, 0, 1500, 1100);
    expect(keys.map(({ column, row }) => `${column}/${row}`)).toEqual(["0/1", "1/1", "2/1", "0/2", "1/2", "2/2"]);
    expect(tilesIn({ left: 2000, top: 0, right: 3000, bottom: 9 }, 512, 0, 1500, 1100)).toEqual([]);
  });
  it("need tiles around them only where objects reach into them", () => {
    const reaches = new Float32Array(10 * 10);
    reaches[4 * 10 + 9] = 2000; // 4608 to 5120 across, 2048 to 2560 down
    reaches[9 * 10 + 4] = 2000; // 2048 to 2560 across, 4608 to 5120 down
    const near = (right: number, detail: number) => {
      const keys = tilesReaching({ left: 2100, top: 2100, right, bottom: 2500 }, { reaches, reach: 2000 }, 512, detail, 5000, 5120);
      return keys.map(({ column, row }) => `${column}/${row}`);
    };
    expect(near(2500, 0)).toEqual(["4/4"]);
    expect(near(2608, 0)).toEqual(["4/4", "5/4", "9/4"]);
    expect(near(2608, 1)).toEqual(["2/2", "4/2"]);
    expect(near(2608, 4)).toEqual(["0/0"]);
  });
  it("need exact outlines from 2:1 on", () => {
    expect([4, 2, 1.9, 1, 0.5, 0.4].map((scale) => detailAt(scale, 12))).toEqual([0, 0, 1, 1, 2, 3]);
    expect(detailAt(1e-9, 12)).toBe(12);
  });
  it("estimate objects by squares", () => {
    const grid = Uint32Array.from([10, 20, 30, 40]);
    expect(estimate(grid, 512, 1024, 1024, { left: 0, top: 0, right: 1024, bottom: 1024 })).toBe(100);
    expect(estimate(grid, 512, 1024, 1024, { left: 512, top: 256, right: 1024, bottom: 512 })).toBe(10);
  });
  it("measure only what lies on the slide", () => {
    const screen = [{ x: -50, y: -50 }, { x: 50, y: -50 }, { x: 50, y: 50 }, { x: -50, y: 50 }];
    expect(areaOnSlide(screen, { width: 100, height: 20 })).toBeCloseTo(1000);
    expect(areaOnSlide(screen.map((p) => ({ x: p.x - 500, y: p.y })), { width: 100, height: 20 })).toBe(0);
  });
});

describe("points in rings", () => {
  const xy = Float32Array.from([0, 0, 10, 0, 10, 10, 0, 10, 4, 4, 4, 6, 6, 6, 6, 4]);
  const rings = Uint32Array.from([0, 4, 8]);
  it("holes are outside", () => {
    expect(insideRings(xy, rings, 0, 2, { x: 1, y: 1 })).toBe(true);
    expect(insideRings(xy, rings, 0, 2, { x: 5, y: 5 })).toBe(false);
    expect(insideRings(xy, rings, 0, 1, { x: 5, y: 5 })).toBe(true);
    expect(insideRings(xy, rings, 0, 2, { x: 11, y: 5 })).toBe(false);
  });
});

describe("figures", () => {
  it("scale bars are 1, 2 or 5", () => {
    for (const umPerPx of [0.013, 0.25, 0.5, 3, 17.7]) {
      const { px, label } = scaleBar(umPerPx, 150);
      const um = Number(label.split(" ")[0]) * (label.endsWith("mm") ? 1000 : 1);
      expect(px).toBeLessThanOrEqual(150);
      expect(px).toBeGreaterThan(150 / 2.6);
      expect(px * umPerPx).toBeCloseTo(um);
      expect("125").toContain(um.toExponential()[0]);
    }
  });
  it("are short", () => {
    expect([0, 0.123, 12.345, 123.4, 12345].map(decimal)).toEqual(["0", "0.12", "12.3", "123", "12,345"]);
    expect(words("surface-epithelium")).toBe("Surface epithelium");
  });
});
