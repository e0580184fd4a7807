import type { Slide } from "../api";
import * as state from "../state";
import type { Stage } from "../viewer/stage";
import { About } from "./about";
import { Differences } from "./differences";
import { Gallery } from "./gallery";
import { Layers } from "./layers";
import { ObjectFactsPanel } from "./object";

type Tab = [key: state.Tab, label: string];

const TABS: Tab[] = [
  ["layers", "Layers"],
  ["object", "Object"],
  ["gallery", "Gallery"],
  ["about", "About"],
];
/** For results of models that look for no objects. */
const WITHOUT_OBJECTS = TABS.filter(([key]) => key === "layers" || key === "about");

/** Slides: the one that is looked at, and the same one of the second result if that is beside it. */
export function Panel({ slides, stage }: { slides: Slide[]; stage: Stage }) {
  const [slide] = slides;
  const tabs = slides.some(({ kinds }) => kinds.length) ? TABS : WITHOUT_OBJECTS;
  const [shown] = tabs.find(([key]) => key === state.tab.value) ?? tabs[0];
  const isCompared = slides.length > 1;
  const titles = state.cohort.value?.compared?.titles;
  return (
    <aside class="panel" aria-label="Side panel">
      <div class="tabs" role="tablist" aria-label="Side panel">
        {tabs.map(([key, label]) => (
          <button
            key={key}
            id={`tab-${key}`}
            role="tab"
            aria-selected={shown === key}
            aria-controls="tab-body"
            tabIndex={shown === key ? 0 : -1}
            onClick={() => (state.tab.value = key)}
            onKeyDown={(event) => turn(event, tabs, key)}
          >
            {key === "gallery" && isCompared ? "Differences" : label}
          </button>
        ))}
      </div>
      <div class="body" role="tabpanel" id="tab-body" aria-labelledby={`tab-${shown}`} tabIndex={0}>
        {shown === "layers" && <Layers slides={slides} stage={stage} />}
        {shown === "object" && <ObjectFactsPanel slides={slides} stage={stage} />}
        {shown === "gallery" && (isCompared ? <Differences slides={slides} /> : <Gallery slide={slide} />)}
        {shown === "about" && slides.map((one, side) => <About key={side} slide={one} title={isCompared ? titles![side] : "Result"} />)}
      </div>
    </aside>
  );
}

/** Arrows walk through the tabs, as screen readers expect. */
function turn(event: KeyboardEvent, tabs: Tab[], from: state.Tab): void {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by) return;
  event.preventDefault();
  event.stopPropagation();
  const at = tabs.findIndex(([key]) => key === from);
  const [next] = tabs[(at + by + tabs.length) % tabs.length];
  state.tab.value = next;
  document.getElementById(`tab-${next}`)?.focus();
}
