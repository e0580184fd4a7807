// What is asked from the server when selection, view or threshold change.

import { effect } from "@preact/signals";
import { getJson, slideUrl, type Counts, type ObjectFacts, type Slide } from "./api";
import { areaOnSlide } from "./polygon";
import { corners } from "./view";
import * as state from "./state";
import type { Stage } from "./viewer/stage";

/** Facts of the selected object; an object that is off the screen is flown to. */
export function followSelection(slide: Slide, stage: Stage): () => void {
  return effect(() => {
    const id = state.selectedId.value;
    if (id === null) {
      state.selected.value = null;
      return;
    }
    const controller = new AbortController();
    getJson<ObjectFacts>(slideUrl(slide.name, `objects/${id}`), controller.signal).then(
      (facts) => {
        state.selected.value = facts;
        if (state.fly.peek()) stage.flyTo(facts);
        state.fly.value = false;
      },
      (error: Error) => {
        if (controller.signal.aborted) return;
        state.problem.value = error.message;
        state.selectedId.value = null;
      },
    );
    return () => controller.abort();
  });
}

/** Counts of the slide and of what is on the screen, above the threshold. */
export function followCounts(slide: Slide): () => void {
  const ofSlide = effect(() => {
    const { least } = state.layers.value;
    return asked(slideUrl(slide.name, "counts", { v: slide.stamp, least: least || null }), (counts) => (state.totals.value = counts));
  });
  const ofView = effect(() => {
    const { frame } = state;
    const { least } = state.layers.value;
    if (!frame.value) return;
    const { matrix, width, height } = frame.value;
    const seen = corners(matrix, width, height);
    state.viewArea.value = areaOnSlide(seen, slide) * (slide.mpp / 1000) ** 2;
    const text = seen.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(",");
    return asked(slideUrl(slide.name, "counts", { corners: text, least: least || null }), (counts) => (state.inView.value = counts));
  });
  return () => {
    ofSlide();
    ofView();
  };
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
