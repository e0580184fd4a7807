// What the server gives, and how it is asked.

export interface Named {
  name: string;
  colour: string;
}

export interface KindWords {
  kind: string;
  label: string;
  typed: boolean;
  classes: Named[];
}

export interface Kind extends KindWords {
  count: number;
}

export type Counts = Record<string, Record<string, number>>;

export interface Manifest {
  slide: Record<string, string | number>;
  model: Record<string, string>;
  parameters: Record<string, unknown>;
  counts: Counts;
  densities_per_mm2: Counts;
  tissue_area_mm2: number;
  tissue_classes_mm2: Record<string, number>;
  seconds: Record<string, number>;
  device: string;
  versions: Record<string, string>;
}

/** Says whose objects are meant: of a slide, in the first result or below another root. */
export interface Whose {
  name: string;
  root?: string;
}

export interface HeadMap {
  head: string;
  channels: Named[];
}

export interface Slide extends Whose {
  /** What stands in place of classes, if anything, and when that changes. */
  shown?: "changes";
  shownStamp?: string;
  /** Changes when the result does. */
  stamp: string;
  width: number;
  height: number;
  mpp: number;
  tile: number;
  overlap: number;
  /** Side of a tile of dots. */
  dots: number;
  levels: number;
  cell: number;
  details: number;
  kinds: Kind[];
  classes: string[];
  container: string | null;
  tissue: Named[];
  /** Heads whose maps were kept. */
  maps: HeadMap[];
  slide_problem: string | null;
  warnings: string[];
  manifest: Manifest;
}

export interface CohortRow {
  name: string;
  state: string;
  reason: string;
  slide?: string;
  /** Of the slide: stamp of its pixels. */
  fingerprint?: string;
  width?: number;
  height?: number;
  mpp?: number;
  counts?: Counts;
  densities?: Counts;
  tissue_mm2?: number;
  tissue_classes?: Record<string, number>;
  model?: string;
  columns?: Record<string, string>;
  warnings?: string[];
}

export interface Cohort {
  title: string;
  version: string;
  single: boolean;
  kinds: KindWords[];
  tissue: Named[];
  slides: CohortRow[];
  /** Names in the second result by names in the first, and what both are called. */
  compared: { titles: [string, string]; pairs: Record<string, string> } | null;
}

/** An object in both results or in one of them. */
export interface Difference {
  change: string;
  first: ObjectRow | null;
  second: ObjectRow | null;
}

export interface DifferencePage {
  total: number;
  /** Of the pictures. */
  stamp: string;
  rows: Difference[];
}

export interface ChangesState {
  share: number;
  stamp: string | null;
  changes: Named[];
  other: string;
}

export interface ObjectRow {
  id: number;
  kind: string;
  class: string | null;
  class_prob: number | null;
  score: number;
  x: number;
  y: number;
  box: [number, number, number, number];
  area_um2: number;
  diameter_um: number;
  container: number | null;
  tissue: string | null;
}

export interface ObjectFacts extends ObjectRow {
  contents: Counts;
}

export interface GalleryPage {
  total: number;
  rows: ObjectRow[];
}

export type Query = Record<string, string | number | boolean | null | undefined>;

/** Address of something that belongs to a slide. */
export function slideUrl({ name, root = "" }: Whose, path: string, query: Query = {}): string {
  const rest = search(query);
  return `${root}api/slides/${encodeURIComponent(name)}${path ? `/${path}` : ""}${rest}`;
}

/** What a drawing of objects depends on: their colours are those of classes or of what stands in their place. */
export function shownQuery({ stamp, shown, shownStamp }: Slide): Query {
  return { v: shownStamp ?? stamp, shown };
}

/** Stamp of the pixels of a slide, whatever was found on them. */
export function pixelStamp({ manifest }: Slide): string {
  return String(manifest.slide.fingerprint);
}

/** `?a=1&b=2`, without what is null or undefined. */
export function search(query: Query): string {
  const entries = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  return entries.length ? `?${new URLSearchParams(entries.map(([key, value]) => [key, String(value)]))}` : "";
}

async function answered(url: string, signal?: AbortSignal): Promise<Response> {
  const response = await fetch(url, { signal });
  if (response.ok) return response;
  const isSentence = response.headers.get("content-type")?.includes("json");
  const sentence = isSentence ? ((await response.json()) as { error?: string }).error : undefined;
  throw new Error(sentence ?? `The server answered ${response.status} to ${url}.`);
}

export async function getJson<T>(url: string, signal?: AbortSignal): Promise<T> {
  return (await (await answered(url, signal)).json()) as T;
}

export async function getBytes(url: string, signal?: AbortSignal): Promise<ArrayBuffer> {
  return (await answered(url, signal)).arrayBuffer();
}
