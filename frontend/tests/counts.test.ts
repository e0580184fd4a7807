import { expect, it } from "vitest";
import type { Kind } from "../src/api";
import { canSwitch, colourOf, counted, kindsOf, UNCLASSIFIED_COLOUR } from "../src/counts";

const typed = { kind: "nucleus", label: "nuclei", typed: true, classes: ["plasma", "epithelial"].map((name) => ({ name, colour: "#123456" })) };
const untyped = { kind: "lumen", label: "lumina", typed: false, classes: [{ name: "lumen", colour: "#fafafa" }] };
const names = (of: { name: string }[]) => of.map(({ name }) => name);

it("has a line for objects without a class where there are any", () => {
  expect(names(counted(typed, { nucleus: { plasma: 3, epithelial: 0, unclassified: 2 } }))).toEqual(["plasma", "epithelial", "unclassified"]);
  expect(names(counted(typed, { nucleus: { plasma: 3, unclassified: 0 } }))).toEqual(["plasma", "epithelial"]);
  expect(names(counted(typed, null, undefined, { gland: { unclassified: 4 } }))).toEqual(["plasma", "epithelial"]);
});

it("has it once for two results of which one has such objects", () => {
  const some = { nucleus: { unclassified: 1 } };
  expect(names(counted(typed, { nucleus: { plasma: 1 } }, some, some))).toEqual(["plasma", "epithelial", "unclassified"]);
});

it("leaves kinds without classes as they are", () => {
  expect(counted(untyped, { lumen: { lumen: 5 } })).toBe(untyped.classes);
});

it("switches classes only", () => {
  expect([canSwitch(typed, "plasma"), canSwitch(typed, "unclassified"), canSwitch(untyped, "lumen")]).toEqual([true, false, false]);
});

const kind = (name: string, count: number, ...classes: string[]): Kind => ({
  kind: name,
  label: name,
  typed: classes.length > 0,
  count,
  classes: (classes.length ? classes : [name]).map((one) => ({ name: one, colour: `#${one}` })),
});

it("has the kinds and classes of either result once", () => {
  const first = { kinds: [kind("nucleus", 9, "plasma", "epithelial"), kind("lumen", 1)] };
  const second = { kinds: [kind("gland", 2), kind("nucleus", 5, "plasma", "stroma"), kind("lumen", 3)] };
  const found = kindsOf([first, second]).map(({ kind, count, typed, classes }) => [kind, count, typed, names(classes)]);
  expect(found).toEqual([
    ["nucleus", 14, true, ["plasma", "epithelial", "stroma"]],
    ["lumen", 4, false, ["lumen"]],
    ["gland", 2, false, ["gland"]],
  ]);
  expect(kindsOf([{ kinds: [] }])).toEqual([]);
});

it("has the classes of the result that tells them apart", () => {
  const [found] = kindsOf([{ kinds: [kind("gland", 2)] }, { kinds: [kind("gland", 2, "gland", "surface")] }]);
  expect([found.typed, names(found.classes)]).toEqual([true, ["gland", "surface"]]);
});

it("colours objects as their result does", () => {
  const slide = { kinds: [kind("gland", 2, "gland", "surface"), kind("lumen", 1)] };
  expect([colourOf(slide, "gland", "surface"), colourOf(slide, "lumen", null)]).toEqual(["#surface", "#lumen"]);
  expect([colourOf(slide, "gland", null), colourOf(slide, "nucleus", "plasma")]).toEqual([UNCLASSIFIED_COLOUR, UNCLASSIFIED_COLOUR]);
});
