import { afterEach, expect, it, vi } from "vitest";

afterEach(() => vi.unstubAllGlobals());

/** A browser that was opened at an address: its history, and the state of the pages in it. */
async function openedAt(hash: string) {
  const entries = [hash];
  let at = 0;
  let listen = () => undefined as void;
  vi.stubGlobal("location", {
    get hash() {
      return entries[at];
    },
  });
  vi.stubGlobal("history", {
    pushState: (_state: null, _title: string, url: string) => entries.splice(++at, Infinity, url),
    replaceState: (_state: null, _title: string, url: string) => (entries[at] = url),
  });
  vi.stubGlobal("addEventListener", (_type: "popstate", then: () => void) => (listen = then));
  vi.stubGlobal("matchMedia", () => ({ matches: false }));
  vi.stubGlobal("localStorage", { getItem: () => null, setItem: () => undefined });
  vi.stubGlobal("document", { documentElement: { dataset: {} } });
  vi.resetModules();
  const state = await import("../src/state");
  state.followAddress();
  const go = (by: number) => {
    at += by;
    listen();
  };
  return { entries, state, go };
}

it("goes back and forward through pages, and stays as it is", async () => {
  const { entries, state, go } = await openedAt("");
  state.openSlide("a");
  state.place.value = { x: 10, y: 20, zoom: 1, rotation: 0 };
  state.selectedId.value = 7;
  state.openCohort();
  state.openSlide("b");
  const before = [...entries];
  expect(before.map((entry) => entry.split("?")[0])).toEqual(["", "#/slide/a", "#/", "#/slide/b"]);
  const seen = [-1, -1, -1, 1, 1, 1].map((by) => {
    go(by);
    return [state.page.value, state.slideName.value, state.place.value?.x, state.selectedId.value];
  });
  const [cohort, a, b] = [["cohort", "", undefined, null], ["slide", "a", 10, 7], ["slide", "b", undefined, null]];
  expect(seen).toEqual([cohort, a, cohort, a, cohort, b]);
  expect(entries).toEqual(before);
});

it("has no page for an address that is written otherwise", async () => {
  const { entries, state, go } = await openedAt("#/slide/50% of it?x=1&y=2&zoom=1");
  state.openCohort();
  go(-1);
  expect([state.page.value, state.slideName.value]).toEqual(["slide", "50% of it"]);
  state.change({ filled: true });
  expect(entries).toEqual(["#/slide/50%25%20of%20it?x=1.0&y=2.0&zoom=1.0000&fill=1", "#/"]);
});
