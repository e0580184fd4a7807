import { effect } from "@preact/signals";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ObjectFacts, Slide } from "../src/api";
import type { Stage } from "../src/viewer/stage";

beforeEach(() => {
  vi.stubGlobal("location", { hash: "" });
  vi.stubGlobal("matchMedia", () => ({ matches: false }));
  vi.stubGlobal("localStorage", { getItem: () => null });
  vi.resetModules();
});
afterEach(() => vi.unstubAllGlobals());

const parts = () => Promise.all([import("../src/state"), import("../src/select"), import("../src/follow")]);

it("flies to what is chosen to go there, and again", async () => {
  vi.stubGlobal("fetch", async (url: string) => Response.json({ id: Number(url.split("/").at(-1)) }));
  const [state, { choose, select }, { followSelection }] = await parts();
  const flown: number[] = [];
  const stage = { result: state.results[0], flyTo: ({ id }: ObjectFacts) => flown.push(id) };
  const end = followSelection({ name: "s" } as Slide, stage as unknown as Stage);
  const known = (id: number) => vi.waitUntil(() => state.selected.value?.id === id);
  choose(7, 0);
  await known(7);
  expect(flown).toEqual([]);
  select(8);
  await known(8);
  select(8);
  expect(flown).toEqual([8, 8]);
  end();
  expect(state.selected.value).toBe(null);
});

it("asks once for the stain of a slide, and draws nothing else anew", async () => {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (url: string) => (asked.push(url), Response.json({ warning: "blue" })));
  const [state, , { askStain }] = await parts();
  let drawn = 0;
  effect(() => void (state.stainOf("b").value, drawn++));
  askStain("a");
  askStain("a");
  await vi.waitUntil(() => state.stainOf("a").value);
  expect([asked, state.stainOf("a").value, drawn]).toEqual([["api/slides/a/stain"], "blue", 1]);
});
