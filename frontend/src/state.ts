// What is shown now. Signals: whoever reads one is drawn anew when it changes.

import { computed, effect, signal } from "@preact/signals";
import { readAddress, writeAddress, type Layers, type Place, type SortColumn } from "./address";
import type { Affine } from "./view";
import type { Cohort, Counts, ObjectFacts, Slide } from "./api";

const first = readAddress(location.hash);

export const page = signal(first.page);
export const slideName = signal(first.slide);
export const place = signal<Place | null>(first.place);
export const layers = signal<Layers>(first.layers);
export const selectedId = signal<number | null>(first.selected);

export const cohort = signal<Cohort | null>(null);
export const slide = signal<Slide | null>(null);
export const selected = signal<ObjectFacts | null>(null);
export const inView = signal<Counts | null>(null);
export const viewArea = signal(0);
export const totals = signal<Counts | null>(null);
export const problem = signal("");
export const helpOpen = signal(false);
export const tab = signal<"layers" | "object" | "gallery" | "about">(first.selected === null ? "layers" : "object");
export const panelOpen = signal(true);

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

/** Colour of every kind and `kind/class`. */
export const colours = computed(() => {
  const found = new Map<string, string>();
  for (const kind of slide.value?.kinds ?? [])
    for (const one of kind.classes) {
      found.set(`${kind.kind}/${one.name}`, one.colour);
      if (!kind.typed) found.set(kind.kind, one.colour);
    }
  return found;
});

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
  selectedId.value = null;
  slideName.value = name;
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
  });
}

/** Keeps address and state the same, both ways. */
export function followAddress(): void {
  let written = location.hash;
  effect(() => {
    const next = current();
    if (next === written) return;
    const isOtherPage = next.split("?")[0] !== written.split("?")[0];
    written = next;
    history[isOtherPage ? "pushState" : "replaceState"](null, "", next);
  });
  addEventListener("popstate", () => {
    if (location.hash === written) return;
    written = location.hash;
    const read = readAddress(location.hash);
    layers.value = read.layers;
    selectedId.value = read.selected;
    slideName.value = read.slide;
    page.value = read.page;
    place.value = read.place;
    jump.value += 1;
  });
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    localStorage.setItem("theme", theme.value);
  });
}

/** What is on the screen since nothing moves: from level-0 pixels to CSS pixels, and the size of the screen. */
export const frame = signal<{ matrix: Affine; width: number; height: number } | null>(null);

/** Counts the times that the address asked for another place. */
export const jump = signal(0);

/** True when the next object that is selected is to be flown to. */
export const fly = signal(false);

/** Select an object and go there. */
export function select(id: number): void {
  if (id === selectedId.value) return;
  fly.value = true;
  tab.value = tab.value === "gallery" ? "gallery" : "object";
  selectedId.value = id;
}
