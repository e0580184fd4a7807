// Choosing objects: of one result, or the same one in both.

import { batch } from "@preact/signals";
import type { Difference } from "./api";
import * as state from "./state";

let asking: AbortController | null = null;

/** Select an object and go there. */
export function select(id: number, side: 0 | 1 = 0): void {
  state.tab.value = state.tab.value === "gallery" ? "gallery" : "object";
  choose(id, side, true);
}

/** Select an object, or nothing; beside it, the same one of the other result follows. */
export function choose(id: number | null, side: 0 | 1, fly = false): void {
  const isSelected = id !== null && id === state.results[side].selectedId.value;
  set(isSelected ? state.selectedIds() : side === 0 ? [id, null] : [null, id], fly);
}

/** Select what one or both results have of an object. */
export function show(difference: Difference, fly: boolean): void {
  batch(() => {
    state.difference.value = difference;
    set(idsOf(difference), fly);
  });
}

/** The ids that an object has in both results. */
export function idsOf({ first, second }: Difference): state.Ids {
  return [first?.id ?? null, second?.id ?? null];
}

/** Ask which object comes next, one question at a time; whatever is chosen before the answer, that counts. */
export async function ask(question: (signal: AbortSignal) => Promise<void>): Promise<void> {
  if (asking) return;
  const controller = new AbortController();
  asking = controller;
  try {
    await question(controller.signal);
  } catch (error) {
    if (!controller.signal.aborted) state.problem.value = (error as Error).message;
  } finally {
    if (asking === controller) asking = null;
  }
}

/** The answer that is waited for no longer counts. */
export function giveUp(): void {
  asking?.abort();
  asking = null;
}

function set(ids: state.Ids, fly: boolean): void {
  giveUp();
  batch(() => {
    state.fly.value = fly;
    state.results.forEach((one, side) => (one.selectedId.value = ids[side]));
  });
}
