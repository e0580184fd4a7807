import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Difference, ObjectRow } from "../src/api";

type Answer = (body: object) => Promise<void>;
/** Questions that wait for their answer, by address. */
const waiting = new Map<string, Answer>();

beforeEach(() => {
  vi.stubGlobal("location", { hash: "" });
  vi.stubGlobal("matchMedia", () => ({ matches: false }));
  vi.stubGlobal("localStorage", { getItem: () => null });
  vi.stubGlobal("fetch", (url: string, { signal }: { signal: AbortSignal }) =>
    new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      waiting.set(url, async (body) => {
        waiting.delete(url);
        resolve(Response.json(body));
        await vi.advanceTimersByTimeAsync(1000);
      });
    }),
  );
  vi.useFakeTimers();
  vi.resetModules();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  waiting.clear();
});

const CHANGES = "api/slides/s/changes";
const DONE = { share: 1, stamp: "ab", changes: [{ name: "matched", colour: "#c3c3c3" }], other: "s" };
const row = (id: number) => ({ id, class: "plasma" }) as ObjectRow;
const matched = (id: number): Difference => ({ change: "matched", first: row(id), second: row(100 + id) });

/** Two results of a slide side by side, with an object selected in the first. */
async function comparing(id: number | null) {
  const [state, select, { followDifference }] = await Promise.all([import("../src/state"), import("../src/select"), import("../src/follow")]);
  state.selectedId.value = id;
  const end = followDifference("s");
  const seen = () => [...state.selectedIds(), state.difference.value?.change];
  return { state, ...select, end, seen };
}

it("says nothing of an object before the server does, and asks no more while results are compared", async () => {
  const { seen } = await comparing(7);
  await waiting.get(CHANGES)!({ ...DONE, share: 0.5, stamp: null });
  expect([...waiting.keys()]).toEqual([CHANGES]);
  expect(seen()).toEqual([7, null, undefined]);
  await waiting.get(CHANGES)!(DONE);
  await waiting.get(`${CHANGES}/0/7`)!(matched(7));
  expect(seen()).toEqual([7, 107, "matched"]);
  expect(waiting.size).toBe(0);
});

it("asks by the object of the second result where that was chosen", async () => {
  const { choose, seen } = await comparing(null);
  choose(107, 1);
  await waiting.get(CHANGES)!(DONE);
  await waiting.get(`${CHANGES}/1/107`)!(matched(7));
  expect(seen()).toEqual([7, 107, "matched"]);
});

it.each(["another object", "nothing", "another slide"])("does not let a late answer win over %s", async (then) => {
  const { choose, end, seen } = await comparing(null);
  choose(7, 0);
  await waiting.get(CHANGES)!(DONE);
  const late = waiting.get(`${CHANGES}/0/7`)!;
  if (then === "another object") choose(8, 0);
  else if (then === "nothing") choose(null, 0);
  else end();
  const before = seen();
  await late(matched(7));
  expect(seen()).toEqual(before);
  expect(before).toEqual([{ "another object": 8, nothing: null, "another slide": 7 }[then], null, undefined]);
});

it("shows a difference of the list without asking for it", async () => {
  const { show, seen } = await comparing(null);
  show(matched(9), true);
  expect(seen()).toEqual([9, 109, "matched"]);
  expect(waiting.size).toBe(0);
});

it("asks for the next object once at a time, and for none that comes after a choice", async () => {
  const { ask, choose, seen } = await comparing(null);
  const answers: ((id: number) => void)[] = [];
  const next = () =>
    ask(async (signal) => {
      const id = await new Promise<number>((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        answers.push(resolve);
      });
      choose(id, 0);
    });
  const both = [next(), next()];
  expect(answers.length).toBe(1);
  answers[0](3);
  await Promise.all(both);
  expect(seen()[0]).toBe(3);
  const late = next();
  choose(4, 0);
  answers[1](5);
  await late;
  expect(seen()[0]).toBe(4);
});

it("goes to a selected object again", async () => {
  const { choose, select, state, seen } = await comparing(7);
  await waiting.get(CHANGES)!(DONE);
  await waiting.get(`${CHANGES}/0/7`)!(matched(7));
  select(7);
  expect([state.fly.value, ...seen()]).toEqual([true, 7, 107, "matched"]);
  choose(7, 0);
  expect(state.fly.value).toBe(false);
});
