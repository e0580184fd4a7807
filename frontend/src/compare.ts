// Two results of a slide: what the server found out about them, and two screens that move as one.

import { getJson, slideUrl, type ChangesState, type Slide } from "./api";
import * as state from "./state";
import type { Stage } from "./viewer/stage";

const AGAIN_MS = 400;
const SIDES = [["matched", "retyped", "lost"], ["matched", "retyped", "new"]];

/** Waits until the server has compared all objects; a question about changes before that would keep it from other work. */
export async function compared(name: string, signal: AbortSignal, report?: (share: number) => void): Promise<ChangesState> {
  for (;;) {
    const found = await getJson<ChangesState>(slideUrl({ name }, "changes"), signal);
    state.changes.value = found.changes;
    if (found.stamp) return found;
    report?.(found.share);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

/** A slide whose objects are told apart by what became of them. */
export function asChanges(slide: Slide, side: 0 | 1, { changes, stamp }: ChangesState): Slide {
  const own = changes.filter(({ name }) => SIDES[side].includes(name));
  const kinds = slide.kinds.map((kind) => ({ ...kind, typed: true, classes: own }));
  return { ...slide, kinds, classes: changes.map(({ name }) => name), shown: "changes", shownStamp: stamp! };
}

/** Whichever screen was last touched leads, the other follows. */
export function link(first: Stage, second: Stage): () => void {
  let leader = first;
  const ends = [first, second].map((stage) => {
    const other = stage === first ? second : first;
    stage.beside = other;
    stage.leads = () => (leader = stage);
    const follow = () => leader === stage && other.follow(stage);
    stage.viewer.addHandler("viewport-change", follow);
    other.viewer.addHandler("open", follow);
    return () => stage.viewer.removeHandler("viewport-change", follow);
  });
  return () => ends.forEach((end) => end());
}
