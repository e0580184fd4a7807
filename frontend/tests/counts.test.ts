import { expect, it } from "vitest";
import { canSwitch, counted } from "../src/counts";

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
