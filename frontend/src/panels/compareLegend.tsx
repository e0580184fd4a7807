// Counts of two results: by class beside each other, or by what became of the objects.

import type { Compare } from "../address";
import type { Counts, Kind } from "../api";
import { canSwitch, counted } from "../counts";
import * as state from "../state";
import { ClassSwitch, KindHead } from "./layers";
import { whole } from "./format";

const CHOICES: [Compare, string][] = [
  ["", "One result"],
  ["classes", "Both, classes"],
  ["changes", "Both, changes"],
];

export function CompareChoice() {
  const { compare, cohort } = state;
  const [first, second] = cohort.value!.compared!.titles;
  return (
    <section class="card">
      <h2>Compare</h2>
      <div class="choice three" role="group" aria-label="What is compared">
        {CHOICES.map(([key, label]) => (
          <button key={key} aria-pressed={compare.value === key} onClick={() => (compare.value = key)}>
            {label}
          </button>
        ))}
      </div>
      <p class="faint">
        {first} with {second}. Objects are the same where their outlines share more than half of their common area.
      </p>
    </section>
  );
}

/** The legend of a kind while two results are on the screen. */
export function CompareLegend({ kind }: { kind: Kind }) {
  const on = state.isOn(kind.kind);
  const isChanges = state.compare.value === "changes";
  return (
    <section class={`card legend ${on ? "" : "off"}`}>
      <KindHead kind={kind} on={on} />
      {isChanges ? <ChangeTable kind={kind.kind} /> : <ClassTable kind={kind} />}
    </section>
  );
}

function ChangeTable({ kind }: { kind: string }) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col" class="hidden">change</th>
          <th scope="col" title="Objects of the slide">slide</th>
          <th scope="col" title="Objects on the screen">view</th>
        </tr>
      </thead>
      <tbody>
        {state.changes.value.map(({ name, colour }) => {
          const { totals, inView } = state.results[name === "new" ? 1 : 0];
          return (
            <tr key={name} class={state.isOn(kind, name) ? "" : "off"}>
              <th scope="row"><ClassSwitch kind={kind} name={name} colour={colour} canSwitch /></th>
              <td data-testid={`${kind}-${name}`}>{figure(totals.value, kind, name)}</td>
              <td>{figure(inView.value, kind, name)}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function ClassTable({ kind }: { kind: Kind }) {
  const [first, second] = state.cohort.value!.compared!.titles;
  return (
    <table>
      <thead>
        <tr>
          <th scope="col" class="hidden">class</th>
          <th scope="col" title={`Objects of the slide in ${first}`}>left</th>
          <th scope="col" title={`Objects of the slide in ${second}`}>right</th>
          <th scope="col" title={`Objects on the screen in ${first}`}>view left</th>
          <th scope="col" title={`Objects on the screen in ${second}`}>right</th>
        </tr>
      </thead>
      <tbody>
        {counted(kind, ...state.results.map(({ totals }) => totals.value)).map(({ name, colour }) => (
          <tr key={name} class={state.isOn(kind.kind, name) ? "" : "off"}>
            <th scope="row"><ClassSwitch kind={kind.kind} name={name} colour={colour} canSwitch={canSwitch(kind, name)} /></th>
            {state.results.map(({ side, totals }) => <td key={side}>{figure(totals.value, kind.kind, name)}</td>)}
            {state.results.map(({ side, inView }) => <td key={side} class="faint">{figure(inView.value, kind.kind, name)}</td>)}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A result whose model does not look for a kind has no figure. */
function figure(counts: Counts | null, kind: string, name: string): string {
  if (!counts) return "…";
  return counts[kind] ? whole(counts[kind][name] ?? 0) : "–";
}
