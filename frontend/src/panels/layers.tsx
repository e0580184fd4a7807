import type { Counts, Kind, Slide } from "../api";
import { canSwitch, counted, kindsOf } from "../counts";
import * as state from "../state";
import type { Stage } from "../viewer/stage";
import { CompareChoice, CompareLegend } from "./compareLegend";
import { Icon } from "./icons";
import { decimal, whole, words } from "./format";
import { HeadMaps } from "./headMaps";
import { TakeAway } from "./takeAway";

export function Layers({ slides, stage }: { slides: Slide[]; stage: Stage }) {
  const { layers } = state;
  const [slide] = slides;
  const withTissue = slides.find(({ tissue }) => tissue.length);
  return (
    <>
      {state.partner.value !== undefined && <CompareChoice />}
      {kindsOf(slides).map((kind) => (slides.length > 1 ? <CompareLegend key={kind.kind} kind={kind} /> : <KindLegend key={kind.kind} kind={kind} slide={slide} />))}
      <section class="card">
        <h2>Drawing</h2>
        <div class="choice" role="group" aria-label="Objects are drawn as">
          <button aria-pressed={!layers.value.filled} onClick={() => state.change({ filled: false })}>
            Outlines
          </button>
          <button aria-pressed={layers.value.filled} onClick={() => state.change({ filled: true })}>
            Filled
          </button>
        </div>
        <Slider label="Opacity" value={layers.value.opacity} set={(opacity) => state.change({ opacity })} />
        <Slider label="Least class probability" value={layers.value.least} set={(least) => state.change({ least })} />
      </section>
      {withTissue && <TissueLegend slide={withTissue} />}
      {slide.maps.length > 0 && <HeadMaps slide={slide} />}
      <TakeAway stage={stage} />
    </>
  );
}

function KindLegend({ kind, slide }: { kind: Kind; slide: Slide }) {
  const on = state.isOn(kind.kind);
  const total = state.totals.value ?? slide.manifest.counts;
  const classes = counted(kind, total);
  return (
    <section class={`card legend ${on ? "" : "off"}`}>
      <KindHead kind={kind} on={on} />
      <table>
        <thead>
          <tr>
            <th scope="col" class="hidden">
              class
            </th>
            <th scope="col" title="Objects of the slide">slide</th>
            <th scope="col" title="Objects per square millimetre of tissue, whole slide">/mm²</th>
            <th scope="col" title="Objects on the screen">view</th>
            <th scope="col" title="Objects per square millimetre of slide on the screen">/mm²</th>
          </tr>
        </thead>
        <tbody>
          {classes.map(({ name, colour }) => (
            <ClassRow key={name} kind={kind} name={name} colour={colour} total={total} slide={slide} />
          ))}
        </tbody>
        {classes.length > 1 && <SumRow kind={kind} total={total} slide={slide} />}
      </table>
    </section>
  );
}

export function KindHead({ kind, on }: { kind: Kind; on: boolean }) {
  return (
    <h2>
      <button class="switch" aria-pressed={on} aria-label={`Show ${kind.label}`} onClick={() => state.toggle(kind.kind)}>
        <Icon name={on ? "eye" : "hidden"} />
      </button>
      {words(kind.label)}
    </h2>
  );
}

interface RowProps {
  kind: Kind;
  name: string;
  colour: string;
  total: Counts;
  slide: Slide;
}

function ClassRow({ kind, name, colour, total, slide }: RowProps) {
  return (
    <tr class={state.isOn(kind.kind, name) ? "" : "off"}>
      <th scope="row">
        <ClassSwitch kind={kind.kind} name={name} colour={colour} canSwitch={canSwitch(kind, name)} />
      </th>
      <Figures count={total[kind.kind]?.[name] ?? 0} seen={state.inView.value?.[kind.kind]?.[name]} slide={slide} />
    </tr>
  );
}

interface SwitchProps {
  kind: string;
  name: string;
  colour: string;
  canSwitch: boolean;
}

export function ClassSwitch({ kind, name, colour, canSwitch }: SwitchProps) {
  const label = (
    <>
      <i class="swatch" style={{ background: colour }} />
      {words(name)}
    </>
  );
  if (!canSwitch) return <span class="class">{label}</span>;
  return (
    <button class="class" aria-pressed={state.isOn(kind, name)} onClick={() => state.toggle(`${kind}/${name}`)}>
      {label}
    </button>
  );
}

function SumRow({ kind, total, slide }: Pick<RowProps, "kind" | "total" | "slide">) {
  const sum = (counts: Record<string, number> | undefined) => Object.values(counts ?? {}).reduce((a, b) => a + b, 0);
  const seen = state.inView.value?.[kind.kind];
  return (
    <tfoot>
      <tr>
        <th scope="row">all</th>
        <Figures count={sum(total[kind.kind])} seen={seen && sum(seen)} slide={slide} />
      </tr>
    </tfoot>
  );
}

function Figures({ count, seen, slide }: { count: number; seen: number | undefined; slide: Slide }) {
  const tissue = slide.manifest.tissue_area_mm2;
  const area = state.viewArea.value;
  return (
    <>
      <td>{whole(count)}</td>
      <td class="faint">{tissue > 0 ? decimal(count / tissue) : "–"}</td>
      <td>{seen === undefined ? "…" : whole(seen)}</td>
      <td class="faint">{seen === undefined || area <= 0 ? "–" : decimal(seen / area)}</td>
    </>
  );
}

function TissueLegend({ slide }: { slide: Slide }) {
  const { layers } = state;
  const on = layers.value.tissue;
  const areas = slide.manifest.tissue_classes_mm2;
  return (
    <section class={`card legend ${on ? "" : "off"}`}>
      <h2>
        <button class="switch" aria-pressed={on} aria-label="Show the tissue map" onClick={() => state.change({ tissue: !on })}>
          <Icon name={on ? "eye" : "hidden"} />
        </button>
        Tissue
      </h2>
      {on && <Slider label="Tissue opacity" value={layers.value.tissueOpacity} set={(tissueOpacity) => state.change({ tissueOpacity })} />}
      <table>
        <thead>
          <tr>
            <th scope="col" class="hidden">class</th>
            <th scope="col" title="Area of whole cells">mm²</th>
          </tr>
        </thead>
        <tbody>
          {slide.tissue.slice(1).map(({ name, colour }) => {
            const key = `tissue/${name}`;
            const shown = !layers.value.off.includes(key);
            return (
              <tr key={name} class={shown ? "" : "off"}>
                <th scope="row">
                  <button class="class" aria-pressed={shown} onClick={() => state.toggle(key)}>
                    <i class="swatch" style={{ background: colour }} />
                    {words(name)}
                  </button>
                </th>
                <td>{(areas[name] ?? 0).toFixed(2)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

export function Slider({ label, value, set }: { label: string; value: number; set: (value: number) => void }) {
  return (
    <label class="slider">
      <span>{label}</span>
      <output>{value.toFixed(2)}</output>
      <input type="range" min="0" max="1" step="0.01" value={value} aria-label={label} onInput={(event) => set(Number(event.currentTarget.value))} />
    </label>
  );
}
