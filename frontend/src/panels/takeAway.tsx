import { slideUrl, type Slide } from "../api";
import { kindsOf } from "../counts";
import { corners, scaleOf } from "../view";
import * as state from "../state";
import { download, sideBySide, withCaption } from "../viewer/picture";
import type { Stage } from "../viewer/stage";
import { Icon } from "./icons";

/** What is on the screen: as a picture, or its objects as a file. */
export function TakeAway({ stage }: { stage: Stage }) {
  return (
    <section class="card">
      <h2>Take away what is on the screen</h2>
      <div class="buttons">
        <button onClick={() => takePicture(stage)}>
          <Icon name="camera" /> PNG
        </button>
        {(["geojson", "csv"] as const).map((form) => (
          <button key={form} onClick={() => download(selectionUrl(stage, form), "")}>
            <Icon name="download" /> {form === "csv" ? "CSV" : "GeoJSON"}
          </button>
        ))}
      </div>
      {stage.beside && <p class="faint">Objects of both results, with what became of each.</p>}
    </section>
  );
}

export function takePicture(stage: Stage): void {
  const { slide, slides } = stage;
  const ofKinds = kindsOf(slides)
    .filter((kind) => state.isOn(kind.kind))
    .flatMap((kind) => kind.classes.filter((one) => state.isOn(kind.kind, one.name)));
  const classes = slide.shown ? state.changes.value : ofKinds;
  const known = slides.find((one) => one.tissue.length)?.tissue.slice(1) ?? [];
  const tissue = state.layers.value.tissue ? known.filter((one) => !state.layers.value.off.includes(`tissue/${one.name}`)) : [];
  const [head, channel] = state.layers.value.map.split("/");
  const ofMap = slide.maps.find((one) => one.head === head)?.channels.filter(({ name }) => channel === "all" || channel === name) ?? [];
  const caption = { title: slide.name, umPerPx: slide.mpp / scaleOf(stage.matrix), classes: [...classes, ...tissue, ...ofMap] };
  const picture = stage.beside ? sideBySide(stage.copy(), stage.beside.copy()) : stage.copy();
  withCaption(picture, caption, devicePixelRatio).toBlob((blob) => {
    if (!blob) return;
    const url = URL.createObjectURL(blob);
    download(url, `${slide.name}.png`);
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  });
}

/** Objects on the screen whose kind and class are switched on; while two results are compared, those of both. */
function selectionUrl(stage: Stage, form: "geojson" | "csv"): string {
  const { slide, slides } = stage;
  const { width, height } = stage.size;
  const seen = corners(stage.matrix, width, height).flatMap(({ x, y }) => [x.toFixed(1), y.toFixed(1)]);
  const { least } = state.layers.value;
  const query = { corners: seen.join(","), off: switchedOff(slides).join(",") || null, least: least || null };
  if (!stage.beside) return slideUrl(slide, `selection.${form}`, query);
  return slideUrl(slide, `changes/selection.${form}`, { ...query, shown: state.compare.value });
}

/** What is switched off of that which is on the screen: a link may name what another slide has. */
function switchedOff(slides: Slide[]): string[] {
  const names = slides.flatMap(({ classes }) => classes);
  const known = kindsOf(slides).flatMap(({ kind }) => [kind, ...names.map((name) => `${kind}/${name}`)]);
  return state.layers.value.off.filter((key) => known.includes(key));
}
