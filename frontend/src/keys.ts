// The keyboard. `KEYS` is what `?` shows; what it says is what is done.

import { getJson, slideUrl, type Slide } from "./api";
import type { Compare } from "./address";
import { kindsOf } from "./counts";
import { stepDifference } from "./panels/differences";
import { toggleMap } from "./panels/headMaps";
import { ask, choose, select } from "./select";
import * as state from "./state";
import type { Stage } from "./viewer/stage";
import { takePicture } from "./panels/takeAway";

export interface Key {
  keys: string[];
  does: string;
  run: (stage: Stage, key: string) => void;
}

const toggleKind = (n: number) => (stage: Stage) => {
  const kind = kindsOf(stage.slides)[n];
  if (kind) state.toggle(kind.kind);
};

export const KEYS: Key[] = [
  { keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], does: "move", run: (stage, key) => stage.by(arrow(key)) },
  { keys: ["+", "="], does: "closer", run: (stage) => stage.by("in") },
  { keys: ["-"], does: "further away", run: (stage) => stage.by("out") },
  { keys: ["0"], does: "whole slide", run: (stage) => stage.by("home") },
  { keys: ["r"], does: "turn clockwise", run: (stage) => stage.by("clockwise") },
  { keys: ["R"], does: "turn back", run: (stage) => stage.by("counter") },
  { keys: ["1"], does: "first kind of object on or off", run: toggleKind(0) },
  { keys: ["2"], does: "second kind", run: toggleKind(1) },
  { keys: ["3"], does: "third kind", run: toggleKind(2) },
  { keys: ["t"], does: "tissue map on or off", run: () => state.change({ tissue: !state.layers.value.tissue }) },
  { keys: ["m"], does: "head map on or off, where maps were kept", run: (stage) => toggleMap(stage.slide) },
  { keys: ["x"], does: "filled or outlined", run: () => state.change({ filled: !state.layers.value.filled }) },
  { keys: ["c"], does: "compare with the other result, by class or by change", run: () => compareNext() },
  { keys: ["["], does: "objects fainter", run: () => opacity(-0.1) },
  { keys: ["]"], does: "objects stronger", run: () => opacity(0.1) },
  { keys: ["n"], does: "next object", run: (stage) => step(stage, 1) },
  { keys: ["p"], does: "previous object", run: (stage) => step(stage, -1) },
  { keys: ["g"], does: "gallery", run: () => open("gallery") },
  { keys: ["l"], does: "layers", run: () => open("layers") },
  { keys: ["/"], does: "search by id", run: () => document.getElementById("search")?.focus() },
  { keys: ["s"], does: "save a picture", run: (stage) => takePicture(stage) },
  { keys: ["f"], does: "full screen", run: () => void fullScreen() },
  { keys: ["b"], does: "side panel on or off", run: () => (state.panelOpen.value = !state.panelOpen.value) },
  { keys: ["d"], does: "dark or light", run: () => swapTheme() },
  { keys: ["Escape"], does: "close, select nothing", run: () => escape() },
  { keys: ["?"], does: "this help", run: () => (state.helpOpen.value = !state.helpOpen.value) },
];

export function listenToKeys(stage: Stage): () => void {
  const listen = (event: KeyboardEvent) => {
    const target = event.target as HTMLElement;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName);
    if (isCommand(event) || (typing && event.key !== "Escape")) return;
    const found = KEYS.find((one) => one.keys.includes(event.key));
    if (!found) return;
    if (typing) target.blur();
    event.preventDefault();
    found.run(stage, event.key);
  };
  addEventListener("keydown", listen);
  return () => removeEventListener("keydown", listen);
}

/** What is pressed with Ctrl, Meta or Alt is for the browser, but signs that a keyboard has with Alt or AltGr only. */
function isCommand(event: KeyboardEvent): boolean {
  const isSign = event.altKey && /^[^a-z0-9]$/i.test(event.key);
  return (event.ctrlKey || event.metaKey || event.altKey) && !isSign;
}

/** The next or previous difference, or object in the order of the gallery. */
export function step(stage: Stage, by: number): void {
  if (kindsOf(stage.slides).length) void ask((signal) => (stage.beside ? stepDifference : stepObject)(stage.slide, by, signal));
}

async function stepObject(slide: Slide, by: number, signal: AbortSignal): Promise<void> {
  const { kind, className, by: column, descending } = state.sorting.value;
  const { least } = state.layers.value;
  const from = state.selectedId.value ?? 0;
  const query = { kind, class_name: className, by: column, descending, least: least || null, step: by };
  const found = from
    ? await getJson<{ id: number | null }>(slideUrl(slide, "neighbour", { ...query, object_id: from }), signal)
    : { id: (await getJson<{ rows: { id: number }[] }>(slideUrl(slide, "gallery", { ...query, step: null, count: 1 }), signal)).rows[0]?.id ?? null };
  if (found.id !== null) select(found.id);
}

/** One result, both by class, both by change, and again. */
function compareNext(): void {
  const order: Compare[] = ["", "classes", "changes"];
  if (state.partner.value !== undefined) state.compare.value = order[(order.indexOf(state.compare.value) + 1) % order.length];
}

export async function fullScreen(): Promise<void> {
  if (document.fullscreenElement) await document.exitFullscreen();
  else await document.documentElement.requestFullscreen();
}

export function swapTheme(): void {
  state.theme.value = state.theme.value === "dark" ? "light" : "dark";
}

function arrow(key: string): "left" | "right" | "up" | "down" {
  return key.slice("Arrow".length).toLowerCase() as "left";
}

function opacity(by: number): void {
  const next = Math.round((state.layers.value.opacity + by) * 10) / 10;
  state.change({ opacity: Math.min(1, Math.max(0, next)) });
}

function open(tab: "gallery" | "layers"): void {
  state.tab.value = tab;
  state.panelOpen.value = true;
}

function escape(): void {
  if (state.helpOpen.value) state.helpOpen.value = false;
  else choose(null, 0);
}
