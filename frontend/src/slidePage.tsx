import { useEffect, useRef, useState } from "preact/hooks";
import { getJson, slideUrl, type Slide } from "./api";
import { Help } from "./panels/help";
import { Panel } from "./panels/panel";
import { TopBar } from "./panels/topBar";
import { Tooltip } from "./panels/tooltip";
import { ScaleBar } from "./panels/scaleBar";
import { listenToKeys } from "./keys";
import { followCounts, followSelection } from "./follow";
import * as state from "./state";
import { Stage, type Hover } from "./viewer/stage";

export function SlidePage({ name }: { name: string }) {
  const screen = useRef<HTMLDivElement>(null);
  const navigator = useRef<HTMLDivElement>(null);
  const [stage, setStage] = useState<Stage | null>(null);
  const [hover, setHover] = useState<Hover | null>(null);
  useEffect(() => {
    let made: Stage | null = null;
    let ends: (() => void)[] = [];
    let left = false;
    state.slide.value = null;
    getJson<Slide>(slideUrl(name, ""))
      .then((slide) => {
        if (left) return;
        state.slide.value = slide;
        state.sorting.value = { ...state.sorting.value, kind: mostOf(slide), className: null };
        made = new Stage(screen.current!, navigator.current!, slide, setHover);
        ends = [listenToKeys(made), followSelection(slide, made), followCounts(slide)];
        setStage(made);
        document.title = `${name} · histocerb`;
      })
      .catch((error: Error) => (state.problem.value = error.message));
    return () => {
      left = true;
      for (const end of ends) end();
      made?.stop();
      setStage(null);
    };
  }, [name]);
  const slide = state.slide.value;
  return (
    <div class="slide-page">
      <TopBar stage={stage} />
      <main class={state.panelOpen.value ? "with-panel" : ""}>
        <h1 class="hidden">{name}</h1>
        <div class="screen">
          <div class="osd" ref={screen} data-testid="screen" />
          <div class="navigator" ref={navigator} aria-hidden="true" />
          {slide && <ScaleBar mpp={slide.mpp} />}
          {hover && <Tooltip hover={hover} />}
          {slide?.slide_problem && <p class="note" role="status">{slide.slide_problem}</p>}
          {!slide && <p class="note" role="status">Loading {name} …</p>}
        </div>
        {slide && stage && state.panelOpen.value && <Panel slide={slide} stage={stage} />}
      </main>
      {state.helpOpen.value && <Help />}
    </div>
  );
}

/** The kind of which there are most. */
function mostOf(slide: Slide): string {
  return slide.kinds.reduce((most, kind) => (kind.count > most.count ? kind : most)).kind;
}
