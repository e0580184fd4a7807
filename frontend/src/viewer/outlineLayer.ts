// Outlines of what is in view: which tiles are needed, those that are there, and what lies under a point.

import { getBytes, shownQuery, slideUrl, type Kind, type Slide } from "../api";
import { decodeOutlines, decodeSquares, type Squares } from "../binary";
import { boundsOf, corners, detailAt, estimate, insideRings, scaleOf, tilesReaching, type Affine, type Point, type TileKey } from "../view";
import { areaOnSlide } from "../polygon";
import type { GpuTile, Painter } from "./painter";

/** Objects of a kind in view up to which they are outlined; more become dots. */
const MOST_OUTLINED = 6000;
/** Above this, outlines give way to dots again: nothing flickers at the limit. */
const TOO_MANY = 8000;
const MOST_TILES = 60;
const MOST_KEPT = 240;
const AT_ONCE = 6;

export interface Hit {
  kind: string;
  id: number;
  code: number;
  prob: number;
  area: number;
}

interface KindState {
  kind: Kind;
  outlined: boolean;
  dense: boolean;
  needed: TileKey[];
  /** The last tiles that were all there: shown until others are. */
  shown: string[];
}

export class OutlineLayer {
  private readonly tiles = new Map<string, GpuTile>();
  private readonly asked = new Map<string, AbortController>();
  /** Tiles in view that did not come: asked for again once they have been out of view. */
  private readonly missing = new Set<string>();
  private readonly squares = new Map<string, Squares>();
  private readonly states: KindState[];
  private waiting: { state: KindState; key: TileKey }[] = [];

  constructor(
    private readonly slide: Slide,
    private readonly painter: Painter,
    private readonly changed: () => void,
    private readonly failed: (reason: string) => void,
  ) {
    this.states = slide.kinds.map((kind) => ({ kind, outlined: false, dense: false, needed: [], shown: [] }));
  }

  /** How many objects every square has, per kind; asked once. */
  async start(): Promise<void> {
    const found = decodeSquares(await getBytes(slideUrl(this.slide, "squares.bin", { v: this.slide.stamp })));
    this.slide.kinds.forEach(({ kind }, n) => this.squares.set(kind, found[n]));
    this.changed();
  }

  /** Median diameter of the objects of a kind; 0 as long as that is not known. */
  diameterUm(kind: string): number {
    return this.squares.get(kind)?.diameterUm ?? 0;
  }

  /** Ask for what a view needs. */
  update(matrix: Affine, width: number, height: number, dpr: number, isOn: (kind: string) => boolean): void {
    const seen = corners(matrix, width, height);
    const box = boundsOf(seen);
    this.waiting = [];
    for (const state of this.states) {
      const squares = this.squares.get(state.kind.kind);
      if (!squares || !state.kind.count || !isOn(state.kind.kind)) {
        state.needed = [];
        state.dense = !squares && state.kind.count * shareInView(seen, this.slide) > TOO_MANY;
        continue;
      }
      const { cell, details, width: w, height: h } = this.slide;
      const detail = detailAt(scaleOf(matrix) * dpr, details - 1);
      const tiles = tilesReaching(box, squares, cell, detail, w, h);
      const count = estimate(squares.counts, cell, w, h, box);
      state.outlined = tiles.length <= MOST_TILES && count <= (state.outlined ? TOO_MANY : MOST_OUTLINED);
      state.dense = !state.outlined;
      state.needed = state.outlined ? tiles : [];
      this.ask(state);
    }
    this.forgetOthers();
    this.next();
  }

  /** True once the outlines of a kind can stand for it. */
  covers(kind: string): boolean {
    const state = this.states.find((one) => one.kind.kind === kind);
    return state !== undefined && state.outlined && state.shown.length > 0;
  }

  /** True where there are too many objects for outlines. */
  isDense(kind: string): boolean {
    return this.states.some((one) => one.kind.kind === kind && one.dense);
  }

  get isComplete(): boolean {
    return this.squares.size === this.states.length && this.asked.size === 0 && this.waiting.length === 0;
  }

  /** What to draw of a kind. */
  shown(kind: string): GpuTile[] {
    const state = this.states.find((one) => one.kind.kind === kind);
    if (!state?.outlined) return [];
    const keys = state.needed.map((key) => name(kind, key));
    if (keys.every((key) => this.tiles.has(key))) state.shown = keys;
    const sameDetail = state.shown[0]?.split("/")[1] === keys[0]?.split("/")[1];
    const drawn = sameDetail || !state.shown.some((key) => this.tiles.has(key)) ? keys : state.shown;
    return drawn.flatMap((key) => this.tiles.get(key) ?? []);
  }

  /** The smallest object at a point of the slide, of the kinds and classes that are shown. */
  pick(point: Point, accepts: (hit: Hit) => boolean): Hit | null {
    let best: Hit | null = null;
    for (const { kind } of this.states)
      for (const tile of this.shown(kind.kind)) {
        const hit = hitIn(tile, kind.kind, point, accepts);
        if (hit && (!best || hit.area < best.area)) best = hit;
      }
    return best;
  }

  /** The tile that holds an object, and its number in it. */
  find(kind: string, id: number): { tile: GpuTile; n: number } | null {
    for (const tile of this.shown(kind)) {
      const n = tile.tile.ids.indexOf(id);
      if (n >= 0) return { tile, n };
    }
    return null;
  }

  stop(): void {
    for (const controller of this.asked.values()) controller.abort();
    for (const tile of this.tiles.values()) this.painter.free(tile);
    this.tiles.clear();
  }

  private ask(state: KindState): void {
    for (const key of state.needed) {
      const wanted = name(state.kind.kind, key);
      const kept = this.tiles.get(wanted);
      if (kept) {
        this.tiles.delete(wanted);
        this.tiles.set(wanted, kept);
      } else if (!this.asked.has(wanted) && !this.missing.has(wanted)) this.waiting.push({ state, key });
    }
  }

  /** Requests for what is no longer in view are given up. */
  private forgetOthers(): void {
    const needed = new Set(this.states.flatMap((s) => s.needed.map((key) => name(s.kind.kind, key))));
    for (const [wanted, controller] of this.asked)
      if (!needed.has(wanted)) {
        this.asked.delete(wanted);
        controller.abort();
      }
    for (const wanted of this.missing) if (!needed.has(wanted)) this.missing.delete(wanted);
  }

  private next(): void {
    while (this.asked.size < AT_ONCE && this.waiting.length) {
      const { state, key } = this.waiting.shift()!;
      void this.load(state.kind.kind, key);
    }
  }

  private async load(kind: string, key: TileKey): Promise<void> {
    const wanted = name(kind, key);
    const controller = new AbortController();
    this.asked.set(wanted, controller);
    try {
      const path = `outlines/${kind}/${key.detail}/${key.column}_${key.row}.bin`;
      const bytes = await getBytes(slideUrl(this.slide, path, shownQuery(this.slide)), controller.signal);
      const side = this.slide.cell * 2 ** key.detail;
      this.tiles.set(wanted, this.painter.upload(decodeOutlines(bytes), key.column * side, key.row * side));
      this.dropOldest();
    } catch (error) {
      if (controller.signal.aborted) return;
      this.missing.add(wanted);
      this.failed(String(error instanceof Error ? error.message : error));
    } finally {
      if (this.asked.get(wanted) === controller) this.asked.delete(wanted);
    }
    this.next();
    this.changed();
  }

  private dropOldest(): void {
    const inUse = new Set(this.states.flatMap((s) => [...s.shown, ...s.needed.map((key) => name(s.kind.kind, key))]));
    for (const [key, tile] of this.tiles) {
      if (this.tiles.size <= MOST_KEPT) return;
      if (inUse.has(key)) continue;
      this.tiles.delete(key);
      this.painter.free(tile);
    }
  }
}

/** How much of a slide is on the screen. */
function shareInView(seen: Point[], slide: Slide): number {
  return areaOnSlide(seen, slide) / (slide.width * slide.height);
}

function name(kind: string, { detail, column, row }: TileKey): string {
  return `${kind}/${detail}/${column}_${row}`;
}

function hitIn(gpu: GpuTile, kind: string, point: Point, accepts: (hit: Hit) => boolean): Hit | null {
  const { tile } = gpu;
  const p = { x: point.x - gpu.left, y: point.y - gpu.top };
  let best: Hit | null = null;
  for (let n = 0; n < tile.count; n++) {
    const at = 4 * n;
    if (p.x < tile.boxes[at] || p.x > tile.boxes[at + 2] || p.y < tile.boxes[at + 1] || p.y > tile.boxes[at + 3]) continue;
    if (!insideRings(tile.xy, tile.ringPoints, tile.objectRings[n], tile.objectRings[n + 1], p)) continue;
    const hit = { kind, id: tile.ids[n], code: tile.code[n], prob: tile.prob[n], area: tile.area[n] };
    if (accepts(hit) && (!best || hit.area < best.area)) best = hit;
  }
  return best;
}
