// The differences of two results, one after the other.

import { useEffect, useState } from "preact/hooks";
import { getJson, slideUrl, type Difference, type DifferencePage, type Slide } from "../api";
import { compared } from "../compare";
import { kindsOf } from "../counts";
import { idsOf, show } from "../select";
import * as state from "../state";
import { COLUMNS, PAGE, Pages, Pick, figure } from "./gallery";
import { words } from "./format";

export function Differences({ slides }: { slides: Slide[] }) {
  const [slide] = slides;
  const { walk, walked } = state;
  const [start, setStart] = useState(0);
  const [page, setPage] = useState<DifferencePage | null>(null);
  const first = listUrl(slide, PAGE);
  useEffect(() => setStart(0), [first]);
  useEffect(() => {
    const controller = new AbortController();
    pageOf(slide, first, start, controller.signal).then(setPage, (error: Error) => {
      if (!controller.signal.aborted) state.problem.value = error.message;
    });
    return () => controller.abort();
  }, [first, start]);
  const set = (part: Partial<state.Walk>) => ((walk.value = { ...walk.value, ...part }), (walked.value = null));
  const { kind, change, by, descending } = walk.value;
  const kinds = kindsOf(slides).map((one): [string, string] => [one.kind, words(one.label)]);
  const changes = state.changes.value.filter(({ name }) => name !== "matched").map(({ name }): [string, string] => [name, words(name)]);
  return (
    <>
      <div class="order">
        <Pick label="Kind" value={kind} options={kinds} pick={(value) => set({ kind: value })} />
        <Pick label="Change" value={change ?? ""} options={[["", "all differences"], ...changes]} pick={(value) => set({ change: value || null })} />
        <Pick label="Sort by" value={by} options={Object.entries(COLUMNS)} pick={(value) => set({ by: value as typeof by })} />
        <Pick label="Direction" value={String(descending)} options={[["false", "lowest first"], ["true", "highest first"]]} pick={(value) => set({ descending: value === "true" })} />
      </div>
      {page && <Pages start={start} total={page.total} go={setStart} />}
      <ul class="gallery">{page?.rows.map((row, n) => <Picture key={key(row)} row={row} at={start + n} slide={slide} stamp={page.stamp} />)}</ul>
      {page?.total === 0 && <p class="hint">No such difference.</p>}
    </>
  );
}

function Picture({ row, at, slide, stamp }: { row: Difference; at: number; slide: Slide; stamp: string }) {
  const one = (row.first ?? row.second)!;
  const isSelected = String(state.selectedIds()) === String(idsOf(row));
  const colour = state.changes.value.find(({ name }) => name === row.change)?.colour;
  const says = `${words(row.change)}: ${classesOf(row)}, object ${key(row)}`;
  const open = () => ((state.walked.value = at), show(row, true));
  return (
    <li>
      <button class="picture" aria-pressed={isSelected} title={says} onClick={open}>
        <img src={slideUrl(slide, `changes/${row.first ? 0 : 1}/${one.id}/crop.jpg`, { v: stamp })} alt={says} width="88" height="88" loading="lazy" />
        <span>
          <i class="swatch" style={{ background: colour }} />
          {figure(one, state.walk.value.by)}
        </span>
      </button>
    </li>
  );
}

/** The next or previous difference of the list. */
export async function stepDifference(slide: Slide, by: number, signal: AbortSignal): Promise<void> {
  const { walked } = state;
  const url = listUrl(slide, 1);
  const { total } = await pageOf(slide, url, 0, signal);
  if (!total) return;
  const at = walked.value === null ? (by > 0 ? 0 : total - 1) : (walked.value + by + total) % total;
  const { rows } = await pageOf(slide, url, at, signal);
  walked.value = at;
  if (state.tab.value !== "gallery") state.tab.value = "object";
  if (rows[0]) show(rows[0], true);
}

/** `epithelial` or, where that changed, `epithelial, then plasma`. */
export function classesOf({ first, second }: Difference): string {
  const names = [first, second].flatMap((one) => (one ? [one.class ?? one.kind] : []));
  return [...new Set(names)].map(words).join(", then ");
}

function key({ first, second }: Difference): string {
  return [first?.id, second?.id].filter((id) => id !== undefined).join(" / ");
}

async function pageOf({ name }: Slide, url: string, start: number, signal: AbortSignal): Promise<DifferencePage> {
  await compared(name, signal);
  return getJson<DifferencePage>(`${url}&start=${start}`, signal);
}

function listUrl(slide: Slide, count: number): string {
  const { kind, change, by, descending } = state.walk.value;
  const { least } = state.layers.value;
  return slideUrl(slide, "changes/list", { kind, class_name: change, by, descending, least: least || null, count });
}
