import { useEffect, useMemo, useState } from "preact/hooks";
import { swapTheme } from "../keys";
import { Tool } from "../panels/topBar";
import { decimal, whole } from "../panels/format";
import * as state from "../state";
import { Plots } from "./plots";
import { Table } from "./table";

export function CohortPage() {
  const cohort = state.cohort.value!;
  const [filter, setFilter] = useState("");
  useEffect(() => void (document.title = `${cohort.title} · histocerb`), [cohort]);
  const shown = useMemo(() => {
    const wanted = filter.toLowerCase();
    return cohort.slides.filter((row) => [row.name, row.state, row.reason, ...Object.values(row.columns ?? {})].some((text) => text.toLowerCase().includes(wanted)));
  }, [cohort, filter]);
  const done = cohort.slides.filter((row) => row.state === "done");
  const failed = cohort.slides.filter((row) => row.state === "failed");
  const sum = (values: (number | undefined)[]) => values.reduce<number>((a, b) => a + (b ?? 0), 0);
  const objects = (kind: string) => sum(done.flatMap((row) => Object.values(row.counts?.[kind] ?? {})));
  const figures: [string, string][] = [
    ["slides", whole(cohort.slides.length)],
    ["done", whole(done.length)],
    ["failed", whole(failed.length)],
    ["mm² of tissue", decimal(sum(done.map((row) => row.tissue_mm2)))],
    ...cohort.kinds.map(({ kind, label }): [string, string] => [label, whole(objects(kind))]),
  ];
  return (
    <div class="cohort">
      <header class="bar">
        <h1>{cohort.title}</h1>
        <input class="filter" type="search" placeholder="Filter slides" aria-label="Filter slides" value={filter} onInput={(event) => setFilter(event.currentTarget.value)} />
        <nav class="tools" aria-label="View">
          <Tool icon="theme" label="Dark or light" run={swapTheme} />
        </nav>
      </header>
      <main>
        <dl class="figures">
          {figures.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
        <Table rows={shown} kinds={cohort.kinds} />
        {done.length > 0 && <Plots rows={shown.filter((row) => row.state === "done")} cohort={cohort} />}
      </main>
      <footer>histocerb {cohort.version}</footer>
    </div>
  );
}
