import { slideUrl, type Counts, type Difference, type ObjectFacts, type Slide } from "../api";
import { colourOf } from "../counts";
import { step } from "../keys";
import { select } from "../select";
import * as state from "../state";
import type { Stage } from "../viewer/stage";
import { Icon } from "./icons";
import { decimal, percent, whole, words } from "./format";

export function ObjectFactsPanel({ slides, stage }: { slides: Slide[]; stage: Stage }) {
  const isCompared = slides.length > 1;
  const what = isCompared ? "difference" : "object in the order of the gallery";
  const found = slides.flatMap((slide, side) => {
    const one = state.results[side].selected.value;
    return one ? [{ one, slide, side }] : [];
  });
  return (
    <>
      <div class="buttons steps">
        <button onClick={() => step(stage, -1)} title={`Previous ${what} (p)`}>
          <span class="flip"><Icon name="next" /></span> Previous
        </button>
        <button onClick={() => step(stage, 1)} title={`Next ${what} (n)`}>
          Next <Icon name="next" />
        </button>
      </div>
      {state.difference.value && <Became {...state.difference.value} />}
      {found.map(({ one, slide, side }) => (
        <Facts key={side} one={one} slide={slide} side={side as 0 | 1} stage={side ? stage.beside! : stage} title={isCompared ? state.cohort.value!.compared!.titles[side] : ""} />
      ))}
      {!found.length && <p class="hint">Click an object on the slide, search its id, or walk through the {isCompared ? "differences" : "gallery"} with n and p.</p>}
    </>
  );
}

/** What became of an object from one result to the other. */
function Became({ change, first, second }: Difference) {
  const colour = state.changes.value.find(({ name }) => name === change)?.colour;
  return (
    <p class="became" data-testid="change">
      <i class="swatch" style={{ background: colour }} />
      <b>{words(change)}</b>
      {change === "retyped" && `: ${words(first!.class!)}, then ${words(second!.class!)}`}
      <span class="faint">{state.walked.value === null ? "" : `difference ${whole(state.walked.value + 1)}`}</span>
    </p>
  );
}

interface FactsProps {
  one: ObjectFacts;
  slide: Slide;
  side: 0 | 1;
  stage: Stage;
  /** Of its result, where there are two. */
  title: string;
}

function Facts({ one, slide, side, stage, title }: FactsProps) {
  return (
    <section class="card">
      {title && <h3 class="whose">{title}</h3>}
      <img class="portrait" src={slideUrl(slide, `objects/${one.id}/crop.jpg`, { v: slide.stamp })} alt={`Object ${one.id}`} width="160" height="160" />
      <h2>
        <i class="swatch" style={{ background: colourOf(slide, one.kind, one.class) }} />
        {words(one.class ?? one.kind)}
        <small>{one.kind}</small>
      </h2>
      <dl>
        <dt>Id</dt>
        <dd data-testid={side ? "other-id" : "object-id"}>{one.id}</dd>
        {one.class_prob !== null && <Fact name="Class probability" value={percent(one.class_prob)} share={one.class_prob} />}
        <Fact name="Score" value={percent(one.score)} share={one.score} />
        <Fact name="Area" value={`${decimal(one.area_um2)} µm²`} />
        <Fact name="Diameter" value={`${decimal(one.diameter_um)} µm`} />
        {one.tissue && <Fact name="Tissue" value={words(one.tissue)} />}
        <Fact name="Place" value={`${whole(one.x)}, ${whole(one.y)} px`} />
        {one.container !== null && (
          <>
            <dt>{words(slide.container ?? "container")}</dt>
            <dd>
              <button class="plain" onClick={() => select(one.container!, side)}>
                {one.container}
              </button>
            </dd>
          </>
        )}
      </dl>
      {Object.keys(one.contents).length > 0 && <Contents contents={one.contents} slide={slide} />}
      <div class="buttons">
        <button onClick={() => stage.flyTo(one)}>Go there</button>
      </div>
    </section>
  );
}

function Fact({ name, value, share }: { name: string; value: string; share?: number }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>
        {value}
        {share !== undefined && <span class="meter" style={{ "--share": share }} aria-hidden="true" />}
      </dd>
    </>
  );
}

function Contents({ contents, slide }: { contents: Counts; slide: Slide }) {
  return (
    <>
      <h3>In it</h3>
      <dl>
        {Object.entries(contents).flatMap(([kind, classes]) =>
          Object.entries(classes)
            .filter(([, count]) => count > 0)
            .map(([name, count]) => (
              <>
                <dt key={name}>
                  <i class="swatch" style={{ background: colourOf(slide, kind, name) }} />
                  {words(name)}
                </dt>
                <dd>{whole(count)}</dd>
              </>
            )),
        )}
      </dl>
    </>
  );
}
