import type { Slide } from "../api";
import * as state from "../state";
import type { Stage } from "../viewer/stage";
import { About } from "./about";
import { Differences } from "./differences";
import { Gallery } from "./gallery";
import { Layers } from "./layers";
import { ObjectFactsPanel } from "./object";

const TABS = [
  ["layers", "Layers"],
  ["object", "Object"],
  ["gallery", "Gallery"],
  ["about", "About"],
] as const;

/** Slides: the one that is looked at, and the same one of the second result if that is beside it. */
export function Panel({ slides, stage }: { slides: Slide[]; stage: Stage }) {
  const { tab } = state;
  const [slide] = slides;
  const isCompared = slides.length > 1;
  const titles = state.cohort.value?.compared?.titles;
  return (
    <aside class="panel" aria-label="Side panel">
      <div class="tabs" role="tablist" aria-label="Side panel">
        {TABS.map(([key, label]) => (
          <button
            key={key}
            id={`tab-${key}`}
            role="tab"
            aria-selected={tab.value === key}
            aria-controls="tab-body"
            tabIndex={tab.value === key ? 0 : -1}
            onClick={() => (tab.value = key)}
            onKeyDown={(event) => turn(event, key)}
          >
            {key === "gallery" && isCompared ? "Differences" : label}
          </button>
        ))}
      </div>
      <div class="body" role="tabpanel" id="tab-body" aria-labelledby={`tab-${tab.value}`} tabIndex={0}>
        {tab.value === "layers" && <Layers slides={slides} stage={stage} />}
        {tab.value === "object" && <ObjectFactsPanel slides={slides} stage={stage} />}
        {tab.value === "gallery" && (isCompared ? <Differences slide={slide} /> : <Gallery slide={slide} />)}
        {tab.value === "about" && slides.map((one, side) => <About key={side} slide={one} title={isCompared ? titles![side] : "Result"} />)}
      </div>
    </aside>
  );
}

/** Arrows walk through the tabs, as screen readers expect. */
function turn(event: KeyboardEvent, from: (typeof TABS)[number][0]): void {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by) return;
  event.preventDefault();
  event.stopPropagation();
  const at = TABS.findIndex(([key]) => key === from);
  const [next] = TABS[(at + by + TABS.length) % TABS.length];
  state.tab.value = next;
  document.getElementById(`tab-${next}`)?.focus();
}
