import { useEffect, useRef, useState } from "preact/hooks";
import { getJson, pixelStamp, slideUrl, type Kind, type Slide } from "./api";
import { asChanges, compared, link } from "./compare";
import { kindsOf } from "./counts";
import { Help } from "./panels/help";
import { Panel } from "./panels/panel";
import { TopBar } from "./panels/topBar";
import { Tooltip } from "./panels/tooltip";
import { ScaleBar } from "./panels/scaleBar";
import { listenToKeys } from "./keys";
import { askStain, followCounts, followDifference, followSelection } from "./follow";
import { giveUp } from "./select";
import * as state from "./state";
import { Stage, type Hover } from "./viewer/stage";

/** A slide as it is on a screen. */
interface Pane {
  slide: Slide;
  stage: Stage;
}

const SECOND = "compared/";

export function SlidePage({ name }: { name: string }) {
  const screens = [useRef<HTMLDivElement>(null), useRef<HTMLDivElement>(null)];
  const navigator = useRef<HTMLDivElement>(null);
  const [panes, setPanes] = useState<Pane[]>([]);
  const [slides, setSlides] = useState<Slide[]>([]);
  const [hovers, setHovers] = useState<(Hover | null)[]>([]);
  const [share, setShare] = useState<number | null>(null);
  const partner = state.partner.value;
  const mode = partner === undefined ? "" : state.compare.value;
  useEffect(() => {
    const controller = new AbortController();
    const ends: (() => void)[] = [];
    state.slide.value = null;
    const open = async () => {
      const found = await load(name, mode && partner, controller.signal);
      if (controller.signal.aborted) return;
      begin(name, found);
      const shown = mode === "changes" ? await recoloured(found, setShare, controller.signal) : found;
      if (controller.signal.aborted) return;
      const made = shown.map((one, side): Pane => {
        const hovered = (hover: Hover | null) => setHovers(shown.map((_, n) => (n === side ? hover : null)));
        const corner = side ? null : navigator.current;
        return { slide: one, stage: new Stage(screens[side].current!, corner, one, state.results[side], hovered, found[0]) };
      });
      made[0].stage.rested = () => found[0].slide_problem || askStain(name, pixelStamp(found[0]));
      ends.push(...follow(made));
      setSlides(found);
      setPanes(made);
    };
    open().catch((error: Error) => {
      if (!controller.signal.aborted) state.problem.value = error.message;
    });
    return () => {
      controller.abort();
      for (const end of ends) end();
      setPanes([]);
      setHovers([]);
    };
  }, [name, mode]);
  useEffect(() => refuse(name), [name]);
  const slide = state.slide.value;
  const stain = state.stainOf(name).value;
  const stage = panes[0]?.stage ?? null;
  return (
    <div class="slide-page">
      <TopBar stage={stage} />
      <main class={state.panelOpen.value ? "with-panel" : ""}>
        <h1 class="hidden">{name}</h1>
        <div class={mode ? "screens two" : "screens"}>
          {(mode ? [0, 1] : [0]).map((side) => (
            <div class="screen" key={`${mode}${side}`}>
              <div class="osd" ref={screens[side]} data-testid={side ? "other-screen" : "screen"} />
              {side === 0 && <div class="navigator" ref={navigator} aria-hidden="true" />}
              {slide && side === (mode ? 1 : 0) && <ScaleBar mpp={slide.mpp} />}
              {mode && <Whose side={side as 0 | 1} slide={slides[side]} />}
              {mode && <Cross side={side as 0 | 1} />}
              {hovers[side] && panes[side] && <Tooltip hover={hovers[side]!} slide={panes[side].slide} />}
              {side === 0 && slide?.slide_problem && <p class="note" role="status">{slide.slide_problem}</p>}
              {side === 0 && stain && <p class="note mild" role="status">{stain}</p>}
              {side === 0 && !slide && <p class="note" role="status">Loading {name} …</p>}
              {slide && mode === "changes" && !stage && <p class="note" role="status">Comparing objects … {Math.round((share ?? 0) * 100)} %</p>}
            </div>
          ))}
        </div>
        {slide && stage && state.panelOpen.value && <Panel slides={mode ? slides : [slide]} stage={stage} />}
      </main>
      {state.helpOpen.value && <Help />}
    </div>
  );
}

/** What is known of a slide before anything of it is drawn. */
function begin(name: string, slides: Slide[]): void {
  const kind = mostOf(kindsOf(slides));
  state.slide.value = slides[0];
  state.sorting.value = { ...state.sorting.value, kind, className: null };
  state.walk.value = { ...state.walk.value, kind };
  state.walked.value = null;
  document.title = `${name} · histocerb`;
}

/** Lets the screens follow keys, selection and each other; returns how to end that. */
function follow(panes: Pane[]): (() => void)[] {
  const [first, second] = panes;
  const linked = second ? [link(first.stage, second.stage), followDifference(first.slide.name)] : [];
  const own = panes.flatMap(({ slide, stage }) => [followSelection(slide, stage), followCounts(slide, stage.result), () => stage.stop()]);
  return [...linked, listenToKeys(first.stage), giveUp, ...own];
}

/** Says why a link that compares cannot be followed. */
function refuse(name: string): void {
  if (!state.compare.value || state.partner.value !== undefined) return;
  const one = "This link compares two results, this viewer has one; start histocerb view with --compare.";
  state.problem.value = state.cohort.value?.compared ? `The other result does not have ${name}.` : one;
  state.compare.value = "";
}

/** Which of the two results a screen shows. */
function Whose({ side, slide }: { side: 0 | 1; slide: Slide | undefined }) {
  const title = state.cohort.value!.compared!.titles[side];
  return (
    <p class="whose-screen">
      <b>{title}</b> {slide && <span class="faint">{slide.manifest.model.name}</span>}
    </p>
  );
}

/** The pointer's place on the other screen. */
function Cross({ side }: { side: 0 | 1 }) {
  const pointer = state.pointer.value;
  if (!pointer || pointer.side === side) return null;
  return <i class="cross" style={{ left: `${pointer.at.x}px`, top: `${pointer.at.y}px` }} aria-hidden="true" />;
}

/** The slide, and the same one of the second result where that is wanted. */
async function load(name: string, partner: string | undefined, signal: AbortSignal): Promise<Slide[]> {
  const whose = [{ name }, ...(partner ? [{ name: partner, root: SECOND }] : [])];
  return Promise.all(whose.map(async (one) => ({ ...(await getJson<Slide>(slideUrl(one, ""), signal)), ...one })));
}

async function recoloured(slides: Slide[], report: (share: number) => void, signal: AbortSignal): Promise<Slide[]> {
  const found = await compared(slides[0].name, signal, report);
  return slides.map((slide, side) => asChanges(slide, side as 0 | 1, found));
}

/** The kind of which there are most; "" where nothing is looked for. */
function mostOf(kinds: Kind[]): string {
  const [most] = [...kinds].sort((one, other) => other.count - one.count);
  return most?.kind ?? "";
}
