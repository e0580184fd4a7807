// Choosing objects: of one result, or the same one in both.

import { batch } from "@preact/signals";
import { getJson, slideUrl, type Difference } from "./api";
import * as state from "./state";

/** Select an object and go there. */
export function select(id: number, side: 0 | 1 = 0): void {
  if (id === state.results[side].selectedId.value) return;
  state.tab.value = state.tab.value === "gallery" ? "gallery" : "object";
  choose(id, side, true);
}

/** Select an object, and beside it the same one of the other result. */
export function choose(id: number | null, side: 0 | 1, fly = false): void {
  if (id === null || !state.compare.value) return set(side === 0 ? [id, null] : [null, id], fly);
  getJson<Difference>(slideUrl({ name: state.slideName.value }, `changes/${side}/${id}`)).then(
    (found) => show(found, fly),
    (error: Error) => (state.problem.value = error.message),
  );
}

/** Select what one or both results have of an object. */
export function show({ first, second }: Difference, fly: boolean): void {
  set([first?.id ?? null, second?.id ?? null], fly);
}

function set(ids: [number | null, number | null], fly: boolean): void {
  batch(() => {
    state.fly.value = fly;
    state.results.forEach((one, side) => (one.selectedId.value = ids[side]));
  });
}
