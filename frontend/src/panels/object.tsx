import { slideUrl, type Counts, type ObjectFacts, type Slide } from "../api";
import { step } from "../keys";
import * as state from "../state";
import type { Stage } from "../viewer/stage";
import { Icon } from "./icons";
import { decimal, percent, whole, words } from "./format";

export function ObjectFactsPanel({ slide, stage }: { slide: Slide; stage: Stage }) {
  const one = state.selected.value;
  return (
    <>
      <div class="buttons steps">
        <button onClick={() => void step(stage, -1)} title="Previous object in the order of the gallery (p)">
          <span class="flip"><Icon name="next" /></span> Previous
        </button>
        <button onClick={() => void step(stage, 1)} title="Next object in the order of the gallery (n)">
          Next <Icon name="next" />
        </button>
      </div>
      {one ? <Facts one={one} slide={slide} stage={stage} /> : <p class="hint">Click an object on the slide, search its id, or walk through the gallery with n and p.</p>}
    </>
  );
}

function Facts({ one, slide, stage }: { one: ObjectFacts; slide: Slide; stage: Stage }) {
  const colour = state.colours.value.get(one.class ? `${one.kind}/${one.class}` : one.kind);
  return (
    <section class="card">
      <img class="portrait" src={slideUrl(slide.name, `objects/${one.id}/crop.jpg`, { v: slide.stamp })} alt={`Object ${one.id}`} width="160" height="160" />
      <h2>
        <i class="swatch" style={{ background: colour }} />
        {words(one.class ?? one.kind)}
        <small>{one.kind}</small>
      </h2>
      <dl>
        <dt>Id</dt>
        <dd data-testid="object-id">{one.id}</dd>
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
              <button class="plain" onClick={() => state.select(one.container!)}>
                {one.container}
              </button>
            </dd>
          </>
        )}
      </dl>
      {Object.keys(one.contents).length > 0 && <Contents contents={one.contents} />}
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

function Contents({ contents }: { contents: Counts }) {
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
                  <i class="swatch" style={{ background: state.colours.value.get(`${kind}/${name}`) }} />
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
