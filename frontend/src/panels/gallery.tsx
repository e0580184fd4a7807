import { useEffect, useState } from "preact/hooks";
import { getJson, slideUrl, type GalleryPage, type ObjectRow, type Slide } from "../api";
import type { SortColumn } from "../address";
import { select } from "../select";
import * as state from "../state";
import { decimal, percent, whole, words } from "./format";

export const COLUMNS: Record<SortColumn, string> = {
  class_prob: "class probability",
  score: "score",
  area_um2: "area",
  object_id: "id",
  x: "x",
  y: "y",
};
export const PAGE = 36;

export function Gallery({ slide }: { slide: Slide }) {
  const { sorting, layers } = state;
  const { kind, className, by, descending } = sorting.value;
  const { least } = layers.value;
  const [start, setStart] = useState(0);
  const [page, setPage] = useState<GalleryPage | null>(null);
  const first = slideUrl(slide, "gallery", { kind, class_name: className, by, descending, least: least || null, count: PAGE });
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
  const classes = kinds?.typed ? kinds.classes.map((one): [string, string] => [one.name, words(one.name)]) : [];
  return (
    <div class="order">
      <Pick label="Kind" value={kind} options={slide.kinds.map((one) => [one.kind, words(one.label)])} pick={(value) => set({ kind: value, className: null })} />
      <Pick label="Class" value={className ?? ""} options={[["", "all classes"], ...classes]} pick={(value) => set({ className: value || null })} />
      <Pick label="Sort by" value={by} options={Object.entries(COLUMNS)} pick={(value) => set({ by: value as SortColumn })} />
      <Pick label="Direction" value={String(descending)} options={[["false", "lowest first"], ["true", "highest first"]]} pick={(value) => set({ descending: value === "true" })} />
    </div>
  );
}

interface PickProps {
  label: string;
  value: string;
  options: [string, string][];
  pick: (value: string) => void;
}

export function Pick({ label, value, options, pick }: PickProps) {
  return (
    <select aria-label={label} value={value} onChange={(event) => pick(event.currentTarget.value)}>
      {options.map(([key, text]) => <option key={key} value={key}>{text}</option>)}
    </select>
  );
}

export function Pages({ start, total, go }: { start: number; total: number; go: (start: number) => void }) {
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
      <button class="picture" aria-pressed={isSelected} title={`${words(name)}, object ${row.id}`} onClick={() => select(row.id)}>
        <img src={slideUrl(slide, `objects/${row.id}/crop.jpg`, { v: slide.stamp })} alt={`${words(name)}, object ${row.id}`} width="88" height="88" loading="lazy" />
        <span>{figure(row, by)}</span>
      </button>
    </li>
  );
}

export function figure(row: ObjectRow, by: SortColumn): string {
  if (by === "area_um2") return `${decimal(row.area_um2)} µm²`;
  if (by === "class_prob") return row.class_prob === null ? "–" : percent(row.class_prob);
  if (by === "score") return percent(row.score);
  return by === "object_id" ? String(row.id) : whole(row[by]);
}
