import { useEffect, useState } from "preact/hooks";
import { getJson, slideUrl, type GalleryPage, type ObjectRow, type Slide } from "../api";
import type { SortColumn } from "../address";
import * as state from "../state";
import { decimal, percent, whole, words } from "./format";

const COLUMNS: Record<SortColumn, string> = {
  class_prob: "class probability",
  score: "score",
  area_um2: "area",
  object_id: "id",
  x: "x",
  y: "y",
};
const PAGE = 36;

export function Gallery({ slide }: { slide: Slide }) {
  const { sorting, layers } = state;
  const { kind, className, by, descending } = sorting.value;
  const { least } = layers.value;
  const [start, setStart] = useState(0);
  const [page, setPage] = useState<GalleryPage | null>(null);
  const first = slideUrl(slide.name, "gallery", { kind, class_name: className, by, descending, least: least || null, count: PAGE });
  useEffect(() => setStart(0), [first]);
  useEffect(() => {
    const controller = new AbortController();
    getJson<GalleryPage>(`${first}&start=${start}`, controller.signal).then(setPage, (error: Error) => {
      if (!controller.signal.aborted) state.problem.value = error.message;
    });
    return () => controller.abort();
  }, [first, start]);
  return (
    <>
      <Order slide={slide} />
      {page && <Pages start={start} total={page.total} go={setStart} />}
      <ul class="gallery">{page?.rows.map((row) => <Picture key={row.id} row={row} slide={slide} by={by} />)}</ul>
      {page?.total === 0 && <p class="hint">No such object.</p>}
    </>
  );
}

function Order({ slide }: { slide: Slide }) {
  const { sorting } = state;
  const { kind, className, by, descending } = sorting.value;
  const set = (part: Partial<state.Sorting>) => (sorting.value = { ...sorting.value, ...part });
  const kinds = slide.kinds.find((one) => one.kind === kind);
  return (
    <div class="order">
      <select aria-label="Kind" value={kind} onChange={(event) => set({ kind: event.currentTarget.value, className: null })}>
        {slide.kinds.map((one) => <option key={one.kind} value={one.kind}>{words(one.label)}</option>)}
      </select>
      <select aria-label="Class" value={className ?? ""} onChange={(event) => set({ className: event.currentTarget.value || null })}>
        <option value="">all classes</option>
        {kinds?.typed && kinds.classes.map((one) => <option key={one.name} value={one.name}>{words(one.name)}</option>)}
      </select>
      <select aria-label="Sort by" value={by} onChange={(event) => set({ by: event.currentTarget.value as SortColumn })}>
        {Object.entries(COLUMNS).map(([key, label]) => <option key={key} value={key}>{label}</option>)}
      </select>
      <select aria-label="Direction" value={String(descending)} onChange={(event) => set({ descending: event.currentTarget.value === "true" })}>
        <option value="false">lowest first</option>
        <option value="true">highest first</option>
      </select>
    </div>
  );
}

function Pages({ start, total, go }: { start: number; total: number; go: (start: number) => void }) {
  return (
    <div class="pages">
      <button disabled={start === 0} onClick={() => go(Math.max(0, start - PAGE))}>Back</button>
      <span>{total ? `${whole(start + 1)} to ${whole(Math.min(total, start + PAGE))} of ${whole(total)}` : "0"}</span>
      <button disabled={start + PAGE >= total} onClick={() => go(start + PAGE)}>More</button>
    </div>
  );
}

function Picture({ row, slide, by }: { row: ObjectRow; slide: Slide; by: SortColumn }) {
  const name = row.class ?? row.kind;
  const isSelected = state.selectedId.value === row.id;
  return (
    <li>
      <button class="picture" aria-pressed={isSelected} title={`${words(name)}, object ${row.id}`} onClick={() => state.select(row.id)}>
        <img src={slideUrl(slide.name, `objects/${row.id}/crop.jpg`, { v: slide.stamp })} alt={`${words(name)}, object ${row.id}`} width="88" height="88" loading="lazy" />
        <span>{figure(row, by)}</span>
      </button>
    </li>
  );
}

function figure(row: ObjectRow, by: SortColumn): string {
  if (by === "area_um2") return `${decimal(row.area_um2)} µm²`;
  if (by === "class_prob") return row.class_prob === null ? "–" : percent(row.class_prob);
  if (by === "score") return percent(row.score);
  return by === "object_id" ? String(row.id) : whole(row[by]);
}
