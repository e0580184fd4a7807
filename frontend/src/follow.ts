// What is asked from the server when selection, view or threshold change.

import { batch, effect } from "@preact/signals";
import { getJson, slideUrl, type Counts, type Difference, type ObjectFacts, type Slide } from "./api";
import { compared } from "./compare";
import { areaOnSlide } from "./polygon";
import { idsOf } from "./select";
import { corners } from "./view";
import * as state from "./state";
import type { Stage } from "./viewer/stage";

/** Facts of the selected object; an object that is to be flown to is. */
export function followSelection(slide: Slide, stage: Stage): () => void {
  const { selectedId, selected } = stage.result;
  const ofFacts = effect(() => {
    const id = selectedId.value;
    if (id === null) {
      selected.value = null;
      return;
    }
    const controller = new AbortController();
    getJson<ObjectFacts>(slideUrl(slide, `objects/${id}`), controller.signal).then(
      (facts) => (selected.value = facts),
      (error: Error) => {
        if (controller.signal.aborted) return;
        state.problem.value = error.message;
        selectedId.value = null;
      },
    );
    return () => controller.abort();
  });
  const ofFlight = effect(() => {
    const facts = selected.value;
    if (!state.fly.value || facts === null || facts.id !== selectedId.value) return;
    state.fly.value = false;
    stage.flyTo(facts);
  });
  return () => {
    ofFacts();
    ofFlight();
    selected.value = null;
  };
}

/** What became of the selected object, and with it the same one of the other result. */
export function followDifference(name: string): () => void {
  const end = effect(() => {
    const ids = state.selectedIds();
    const known = state.difference.peek();
    if (known && String(idsOf(known)) === String(ids)) return;
    state.difference.value = null;
    const side = ids[0] === null ? 1 : 0;
    if (ids[side] === null) return;
    const controller = new AbortController();
    whatBecame(name, side, ids[side], controller.signal).then(
      (found) =>
        batch(() => {
          state.difference.value = found;
          idsOf(found).forEach((id, n) => (state.results[n].selectedId.value = id));
        }),
      (error: Error) => {
        if (!controller.signal.aborted) state.problem.value = error.message;
      },
    );
    return () => controller.abort();
  });
  return () => {
    end();
    state.difference.value = null;
  };
}

async function whatBecame(name: string, side: 0 | 1, id: number, signal: AbortSignal): Promise<Difference> {
  await compared(name, signal);
  return getJson<Difference>(slideUrl({ name }, `changes/${side}/${id}`), signal);
}

/** Counts of the slide and of what is on the screen, above the threshold. */
export function followCounts(slide: Slide, { totals, inView }: state.Result): () => void {
  const { shown = null } = slide;
  const ofSlide = effect(() => {
    const { least } = state.layers.value;
    if (!least && !shown) {
      totals.value = slide.manifest.counts;
      return;
    }
    return asked(slideUrl(slide, "counts", { v: slide.stamp, shown, least: least || null }), (counts) => (totals.value = counts));
  });
  const ofView = effect(() => {
    const { frame } = state;
    const { least } = state.layers.value;
    if (!frame.value) return;
    const { matrix, width, height } = frame.value;
    const seen = corners(matrix, width, height);
    state.viewArea.value = areaOnSlide(seen, slide) * (slide.mpp / 1000) ** 2;
    const text = seen.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(",");
    return asked(slideUrl(slide, "counts", { shown, corners: text, least: least || null }), (counts) => (inView.value = counts));
  });
  return () => {
    ofSlide();
    ofView();
  };
}

/** Ask once whether the stain of a slide is unusual; a slide that cannot be found says nothing. `v` stamps its pixels. */
export function askStain(name: string, v?: string): void {
  const stain = state.stainOf(name);
  if (stain.peek() !== null) return;
  stain.value = "";
  getJson<{ warning: string }>(slideUrl({ name }, "stain", { v })).then(
    ({ warning }) => (stain.value = warning),
    () => undefined,
  );
}

function asked(url: string, then: (counts: Counts) => void): () => void {
  const controller = new AbortController();
  const wait = setTimeout(() => {
    getJson<Counts>(url, controller.signal).then(then, (error: Error) => {
      if (!controller.signal.aborted) state.problem.value = error.message;
    });
  }, 60);
  return () => {
    clearTimeout(wait);
    controller.abort();
  };
}
