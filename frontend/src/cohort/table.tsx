import { useState } from "preact/hooks";
import { slideUrl, type CohortRow, type KindWords } from "../api";
import { decimal, whole, words } from "../panels/format";
import { askStain } from "../follow";
import * as state from "../state";

type Value = string | number;
interface Column {
  key: string;
  label: string;
  title?: string;
  value: (row: CohortRow) => Value;
  show?: (row: CohortRow) => string;
}

export function Table({ rows, kinds }: { rows: CohortRow[]; kinds: KindWords[] }) {
  const [sort, setSort] = useState({ key: "name", descending: false });
  const columns = columnsFor(rows, kinds);
  const by = columns.find((column) => column.key === sort.key) ?? columns[0];
  const sorted = [...rows].sort((a, b) => compare(by.value(a), by.value(b)) * (sort.descending ? -1 : 1));
  const click = (key: string) => setSort({ key, descending: sort.key === key && !sort.descending });
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Slides">
      <table class="slides">
        <thead>
          <tr>
            <th class="hidden" scope="col">picture</th>
            {columns.map(({ key, label, title }) => (
              <th key={key} scope="col" aria-sort={sort.key === key ? (sort.descending ? "descending" : "ascending") : "none"}>
                <button class="plain" title={title} onClick={() => click(key)}>
                  {label}
                  <span class="arrow" aria-hidden="true">{sort.key === key ? (sort.descending ? "↓" : "↑") : ""}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{sorted.map((row) => <Row key={row.name} row={row} columns={columns} />)}</tbody>
      </table>
      {rows.length === 0 && <p class="hint">No slide like that.</p>}
    </div>
  );
}

function Row({ row, columns }: { row: CohortRow; columns: Column[] }) {
  const done = row.state === "done";
  const open = (event: Event) => (event.preventDefault(), state.openSlide(row.name));
  return (
    <tr class={row.state}>
      <td>{done && <Thumbnail row={row} />}</td>
      <th scope="row">
        {done ? <a href={`#/slide/${encodeURIComponent(row.name)}`} onClick={open}>{row.name}</a> : row.name}
        {row.reason && <p class="reason">{row.reason}</p>}
        {[...(row.warnings ?? []), state.stainOf(row.name).value].filter(Boolean).map((text) => <p class="reason mild" key={text}>{text}</p>)}
      </th>
      {columns.slice(1).map((column) => (
        <td key={column.key} class={column.key === "state" ? "" : "number"}>
          {column.key === "state" ? <span class={`state ${row.state.replace(" ", "-")}`}>{row.state}</span> : column.show ? (done ? column.show(row) : "") : column.value(row)}
        </td>
      ))}
    </tr>
  );
}

/** Empty where the slide itself cannot be found. */
function Thumbnail({ row }: { row: CohortRow }) {
  const { name, fingerprint: v } = row;
  const [missing, setMissing] = useState(false);
  if (missing) return <div class="thumbnail" />;
  return <img class="thumbnail" src={slideUrl({ name }, "thumbnail.jpg", { v, side: 192 })} alt="" loading="lazy" onLoad={() => askStain(name, v)} onError={() => setMissing(true)} />;
}

/** Of a kind that the model of a slide does not look for there are no figures. */
function columnsFor(rows: CohortRow[], kinds: KindWords[]): Column[] {
  const sum = (counts: Record<string, number> | undefined) => (counts ? Object.values(counts).reduce((a, b) => a + b, 0) : -1);
  const shown = (value: number, form: (value: number) => string) => (value < 0 ? "–" : form(value));
  const carried = [...new Set(rows.flatMap((row) => Object.keys(row.columns ?? {})))];
  return [
    { key: "name", label: "Slide", value: (row) => row.name },
    { key: "state", label: "Status", value: (row) => row.state },
    ...carried.map((name): Column => ({ key: `own/${name}`, label: name, value: (row) => row.columns?.[name] ?? "" })),
    { key: "tissue", label: "Tissue mm²", value: (row) => row.tissue_mm2 ?? -1, show: (row) => decimal(row.tissue_mm2 ?? 0) },
    ...kinds.flatMap(({ kind, label }): Column[] => [
      { key: kind, label: words(label), title: `Number of ${label}`, value: (row) => sum(row.counts?.[kind]), show: (row) => shown(sum(row.counts?.[kind]), whole) },
      { key: `${kind}/mm2`, label: `${words(label)} /mm²`, title: `${label} per square millimetre of tissue`, value: (row) => sum(row.densities?.[kind]), show: (row) => shown(sum(row.densities?.[kind]), decimal) },
    ]),
  ];
}

function compare(a: Value, b: Value): number {
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
}
