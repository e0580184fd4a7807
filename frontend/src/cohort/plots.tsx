import type { Cohort, CohortRow, Named } from "../api";
import { counted } from "../counts";
import { percent, words } from "../panels/format";
import * as state from "../state";

/** Shares of classes per slide, as bars that lead to the slides. */
export function Plots({ rows, cohort }: { rows: CohortRow[]; cohort: Cohort }) {
  const typed = cohort.kinds.filter((kind) => kind.typed && kind.classes.length > 1);
  return (
    <div class="plots">
      {typed.map((kind) => (
        <Bars key={kind.kind} title={`${words(kind.label)} by class`} classes={counted(kind, ...rows.map((row) => row.counts))} rows={rows} values={(row) => row.counts?.[kind.kind]} />
      ))}
      {cohort.tissue.length > 0 && <Bars title="Tissue by area" classes={cohort.tissue.slice(1)} rows={rows} values={(row) => row.tissue_classes} />}
    </div>
  );
}

interface BarsProps {
  title: string;
  classes: Named[];
  rows: CohortRow[];
  values: (row: CohortRow) => Record<string, number> | undefined;
}

function Bars({ title, classes, rows, values }: BarsProps) {
  return (
    <section class="card">
      <h2>{title}</h2>
      <ul class="keys">
        {classes.map(({ name, colour }) => (
          <li key={name}>
            <i class="swatch" style={{ background: colour }} /> {words(name)}
          </li>
        ))}
      </ul>
      <div class="bars">
        {rows.map((row) => (
          <a key={row.name} href={`#/slide/${encodeURIComponent(row.name)}`} onClick={(event) => (event.preventDefault(), state.openSlide(row.name))}>
            <span class="label">{row.name}</span>
            <Stack classes={classes} values={values(row) ?? {}} />
          </a>
        ))}
      </div>
    </section>
  );
}

function Stack({ classes, values }: { classes: Named[]; values: Record<string, number> }) {
  const total = classes.reduce((sum, { name }) => sum + (values[name] ?? 0), 0);
  const parts = classes.map((one) => ({ ...one, share: total ? (values[one.name] ?? 0) / total : 0 })).filter(({ share }) => share > 0);
  return (
    <span class="stack" role="img" aria-label={parts.map(({ name, share }) => `${words(name)} ${percent(share)}`).join(", ") || "none"}>
      {parts.map(({ name, colour, share }) => (
        <i key={name} style={{ background: colour, flexGrow: share }} title={`${words(name)} ${percent(share)}`} />
      ))}
    </span>
  );
}
