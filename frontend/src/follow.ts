// What is asked from the server when selection, view or threshold change.

import { effect } from "@preact/signals";
import { getJson, slideUrl, type Counts, type ObjectFacts, type Slide } from "./api";
import { areaOnSlide } from "./polygon";
import { corners } from "./view";
import * as state from "./state";
import type { Stage } from "./viewer/stage";

/** Facts of the selected object; an object that is to be flown to is. */
export function followSelection(slide: Slide, stage: Stage): () => void {
  const { selectedId, selected } = stage.result;
  return effect(() => {
    const id = selectedId.value;
    if (id === null) {
      selected.value = null;
      return;
    }
    const controller = new AbortController();
    getJson<ObjectFacts>(slideUrl(slide, `objects/${id}`), controller.signal).then(
      (facts) => {
        selected.value = facts;
        if (state.fly.peek()) stage.flyTo(facts);
        state.fly.value = false;
      },
      (error: Error) => {
        if (controller.signal.aborted) return;
        state.problem.value = error.message;
        selectedId.value = null;
      },
    );
    return () => controller.abort();
  });
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
  if (name in state.stains.peek()) return;
  state.stains.value = { ...state.stains.peek(), [name]: "" };
  getJson<{ warning: string }>(slideUrl({ name }, "stain", { v })).then(
    ({ warning }) => warning && (state.stains.value = { ...state.stains.peek(), [name]: warning }),
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
