// The address after `#` says what is shown: a link leads back to the same place, layers and object.

export interface Place {
  /** Middle of the screen in level-0 pixels. */
  x: number;
  y: number;
  /** Screen pixels per level-0 pixel. */
  zoom: number;
  /** Degrees clockwise. */
  rotation: number;
}

export type SortColumn = "object_id" | "class_prob" | "score" | "area_um2" | "x" | "y";

export interface Layers {
  /** Kinds and `kind/class` that are switched off. */
  off: string[];
  filled: boolean;
  opacity: number;
  least: number;
  tissue: boolean;
  tissueOpacity: number;
  /** `HEAD/CHANNEL` of the head map that is shown, "" where none is. */
  map: string;
  mapOpacity: number;
}

/** Two results side by side, in the colours of classes or of what changed; "" is one result. */
export type Compare = "" | "classes" | "changes";

export interface Address {
  page: "cohort" | "slide";
  slide: string;
  place: Place | null;
  layers: Layers;
  selected: number | null;
  compare: Compare;
  /** Selected object of the second result. */
  other: number | null;
}

export const PLAIN: Layers = {
  off: [],
  filled: false,
  opacity: 1,
  least: 0,
  tissue: false,
  tissueOpacity: 0.35,
  map: "",
  mapOpacity: 0.7,
};

const COMPARE: Compare[] = ["classes", "changes"];

export function readAddress(hash: string): Address {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const words = new URLSearchParams(query);
  const isSlide = path.startsWith("slide/");
  return {
    page: isSlide ? "slide" : "cohort",
    slide: isSlide ? decoded(path.slice("slide/".length)) : "",
    place: readPlace(words),
    layers: {
      off: (words.get("off") ?? "").split(",").filter(Boolean),
      filled: words.get("fill") === "1",
      opacity: share(words, "opacity", PLAIN.opacity),
      least: share(words, "least", PLAIN.least),
      tissue: words.get("tissue") === "1",
      tissueOpacity: share(words, "veil", PLAIN.tissueOpacity),
      map: words.get("map") ?? PLAIN.map,
      mapOpacity: share(words, "mapveil", PLAIN.mapOpacity),
    },
    selected: number(words, "object"),
    compare: COMPARE.find((one) => one === words.get("compare")) ?? "",
    other: number(words, "other"),
  };
}

export function writeAddress(address: Address): string {
  if (address.page === "cohort") return "#/";
  const words = new URLSearchParams();
  const { place, layers } = address;
  if (place) {
    words.set("x", place.x.toFixed(1));
    words.set("y", place.y.toFixed(1));
    words.set("zoom", place.zoom.toPrecision(5));
    if (place.rotation) words.set("rotation", String(place.rotation));
  }
  if (layers.off.length) words.set("off", layers.off.join(","));
  if (layers.filled) words.set("fill", "1");
  if (layers.opacity !== PLAIN.opacity) words.set("opacity", String(layers.opacity));
  if (layers.least !== PLAIN.least) words.set("least", String(layers.least));
  if (layers.tissue) words.set("tissue", "1");
  if (layers.tissueOpacity !== PLAIN.tissueOpacity) words.set("veil", String(layers.tissueOpacity));
  if (layers.map) words.set("map", layers.map);
  if (layers.mapOpacity !== PLAIN.mapOpacity) words.set("mapveil", String(layers.mapOpacity));
  if (address.selected !== null) words.set("object", String(address.selected));
  if (address.compare) words.set("compare", address.compare);
  if (address.other !== null) words.set("other", String(address.other));
  const query = words.toString();
  return `#/slide/${encodeURIComponent(address.slide)}${query ? `?${query}` : ""}`;
}

/** People type names as they are: a `%` that begins no code stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replace(/%(?![0-9a-f]{2})/gi, "%25"));
  } catch {
    return text;
  }
}

function readPlace(words: URLSearchParams): Place | null {
  const [x, y, zoom] = ["x", "y", "zoom"].map((name) => number(words, name));
  if (x === null || y === null || zoom === null || zoom <= 0) return null;
  return { x, y, zoom, rotation: number(words, "rotation") ?? 0 };
}

function number(words: URLSearchParams, name: string): number | null {
  const text = words.get(name);
  const value = text === null || text === "" ? NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}

function share(words: URLSearchParams, name: string, otherwise: number): number {
  const value = number(words, name);
  return value === null ? otherwise : Math.min(1, Math.max(0, value));
}
