import { slideUrl, type Slide } from "../api";
import { corners, scaleOf } from "../view";
import * as state from "../state";
import { download, sideBySide, withCaption } from "../viewer/picture";
import type { Stage } from "../viewer/stage";
import { Icon } from "./icons";

/** What is on the screen: as a picture, or its objects as a file. */
export function TakeAway({ slide, stage }: { slide: Slide; stage: Stage }) {
  return (
    <section class="card">
      <h2>Take away what is on the screen</h2>
      <div class="buttons">
        <button onClick={() => takePicture(stage)}>
          <Icon name="camera" /> PNG
        </button>
        {!stage.beside &&
          (["geojson", "csv"] as const).map((form) => (
            <button key={form} onClick={() => download(selectionUrl(slide, stage, form), `${slide.name}.${form}`)}>
              <Icon name="download" /> {form === "csv" ? "CSV" : "GeoJSON"}
            </button>
          ))}
      </div>
    </section>
  );
}

export function takePicture(stage: Stage): void {
  const { slide } = stage;
  const ofKinds = slide.kinds
    .filter((kind) => state.isOn(kind.kind))
    .flatMap((kind) => kind.classes.filter((one) => state.isOn(kind.kind, one.name)));
  const classes = slide.shown ? state.changes.value : ofKinds;
  const tissue = state.layers.value.tissue ? slide.tissue.slice(1).filter((one) => !state.layers.value.off.includes(`tissue/${one.name}`)) : [];
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

function selectionUrl(slide: Slide, stage: Stage, form: "geojson" | "csv"): string {
  const { width, height } = stage.size;
  const seen = corners(stage.matrix, width, height).flatMap(({ x, y }) => [x.toFixed(1), y.toFixed(1)]);
  const kinds = slide.kinds.map((kind) => kind.kind).filter((kind) => state.isOn(kind));
  const { least } = state.layers.value;
  return slideUrl(slide, `selection.${form}`, { corners: seen.join(","), kinds: kinds.join(","), least: least || null });
}
