// What is shown now. Signals: whoever reads one is drawn anew when it changes.

import { batch, computed, effect, signal, type Signal } from "@preact/signals";
import { readAddress, writeAddress, type Compare, type Layers, type Place, type SortColumn } from "./address";
import type { Affine } from "./view";
import type { Cohort, Counts, Difference, Named, ObjectFacts, Slide } from "./api";

const first = readAddress(location.hash);

export const page = signal(first.page);
export const slideName = signal(first.slide);
export const place = signal<Place | null>(first.place);
export const layers = signal<Layers>(first.layers);
export const compare = signal<Compare>(first.compare);

export const cohort = signal<Cohort | null>(null);
export const slide = signal<Slide | null>(null);
export const viewArea = signal(0);
export const problem = signal("");
export const helpOpen = signal(false);
export const tab = signal<Tab>(first.selected === null ? "layers" : "object");
export const panelOpen = signal(true);

export type Tab = "layers" | "object" | "gallery" | "about";

/** What is known of a result on the screen. */
export interface Result {
  side: 0 | 1;
  selectedId: Signal<number | null>;
  selected: Signal<ObjectFacts | null>;
  inView: Signal<Counts | null>;
  totals: Signal<Counts | null>;
}

/** The result that is looked at, and the one beside it. */
export const results: [Result, Result] = [result(0, first.selected), result(1, first.other)];
export const { selectedId, selected, inView, totals } = results[0];

/** Selected objects of both results. */
export type Ids = [first: number | null, second: number | null];

export function selectedIds(): Ids {
  return [results[0].selectedId.value, results[1].selectedId.value];
}

function result(side: 0 | 1, id: number | null): Result {
  return { side, selectedId: signal(id), selected: signal(null), inView: signal(null), totals: signal(null) };
}

/** The name that the slide has in the second result. */
export const partner = computed(() => cohort.value?.compared?.pairs[slideName.value]);

const stains = new Map<string, Signal<string | null>>();

/** What is unusual about the stain of a slide, "" where nothing is; null as long as nobody asked. */
export function stainOf(name: string): Signal<string | null> {
  const stain = stains.get(name) ?? signal(null);
  stains.set(name, stain);
  return stain;
}

/** What became of objects, and in which colours that is drawn. */
export const changes = signal<Named[]>([]);

/** What became of the selected object; null as long as that is not known. */
export const difference = signal<Difference | null>(null);

export interface Walk {
  kind: string;
  change: string | null;
  by: SortColumn;
  descending: boolean;
}
/** Which differences are walked through, and how far one is. */
export const walk = signal<Walk>({ kind: "", change: null, by: "area_um2", descending: true });
export const walked = signal<number | null>(null);

export interface Sorting {
  kind: string;
  className: string | null;
  by: SortColumn;
  descending: boolean;
}
export const sorting = signal<Sorting>({ kind: "", className: null, by: "class_prob", descending: false });

export type Theme = "dark" | "light";
const preferred: Theme = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
export const theme = signal<Theme>((localStorage.getItem("theme") as Theme | null) ?? preferred);

export function isOn(kind: string, className?: string): boolean {
  const { off } = layers.value;
  return !off.includes(kind) && (className === undefined || !off.includes(`${kind}/${className}`));
}

export function toggle(key: string): void {
  const { off } = layers.value;
  const without = off.filter((one) => one !== key);
  layers.value = { ...layers.value, off: without.length < off.length ? without : [...off, key] };
}

export function change(part: Partial<Layers>): void {
  layers.value = { ...layers.value, ...part };
}

export function openSlide(name: string): void {
  place.value = null;
  for (const one of results) one.selectedId.value = null;
  slideName.value = name;
  compare.value = partner.value === undefined ? "" : compare.value || "changes";
  page.value = "slide";
}

export function openCohort(): void {
  page.value = "cohort";
}

function current(): string {
  return writeAddress({
    page: page.value,
    slide: slideName.value,
    place: place.value,
    layers: layers.value,
    selected: selectedId.value,
    compare: compare.value,
    other: results[1].selectedId.value,
  });
}

/** Keeps address and state the same, both ways. */
export function followAddress(): void {
  let written = current();
  effect(() => {
    const next = current();
    if (next === written) return;
    const isOtherPage = next.split("?")[0] !== written.split("?")[0];
    written = next;
    history[isOtherPage ? "pushState" : "replaceState"](null, "", next);
  });
  addEventListener("popstate", () => {
    const read = readAddress(location.hash);
    const asked = writeAddress(read);
    if (asked === written) return;
    written = asked;
    batch(() => {
      layers.value = read.layers;
      selectedId.value = read.selected;
      results[1].selectedId.value = read.other;
      compare.value = read.compare;
      slideName.value = read.slide;
      page.value = read.page;
      place.value = read.place;
      jump.value += 1;
    });
  });
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    localStorage.setItem("theme", theme.value);
  });
}

/** What is on the screen since nothing moves: from level-0 pixels to CSS pixels, and the size of the screen. */
export const frame = signal<{ matrix: Affine; width: number; height: number } | null>(null);

/** Where the pointer is on one of the screens, to mark the same place on the other. */
export const pointer = signal<{ at: { x: number; y: number }; side: 0 | 1 } | null>(null);

/** Counts the times that the address asked for another place. */
export const jump = signal(0);

/** True when the selected object is to be flown to. */
export const fly = signal(false);
