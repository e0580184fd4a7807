// The slide on the screen: OpenSeadragon moves and shows its pixels, our canvas above draws what was found.

import { effect, untracked } from "@preact/signals";
import OpenSeadragon from "openseadragon";
import { pixelStamp, shownQuery, slideUrl, type Kind, type ObjectFacts, type Slide } from "../api";
import type { Layers, Place } from "../address";
import { UNCLASSIFIED_COLOUR } from "../counts";
import { apply, inverse, scaleOf, type Affine, type Point } from "../view";
import { choose } from "../select";
import * as state from "../state";
import { BLANK, OPTIONS } from "./options";
import { OutlineLayer, type Hit } from "./outlineLayer";
import { Overlay } from "./overlay";
import { Painter, type Shade } from "./painter";
import { PictureLayer } from "./pictureLayer";
import { TissueLayer, rgb, type CellFacts } from "./tissueLayer";

const LINE_PX = 1.6;
const EDGE_PX = 0.9;
/** Objects of this diameter on the screen have room for a dark edge around their line. */
const LARGE_PX = 18;
const SETTLED_MS = 160;
const SELECTED: Shade = [1, 1, 1, 1];

export interface Hover {
  at: Point;
  hit: Hit | null;
  cell: CellFacts | null;
}

export class Stage {
  readonly viewer: OpenSeadragon.Viewer;
  readonly painter: Painter | null;
  /** The other result of the slide, on the screen beside this one. */
  beside: Stage | null = null;
  /** Called once when all is painted for the first time. */
  rested: () => void = () => undefined;
  /** Called when this one is moved by its user or by a command. */
  leads: () => void = () => undefined;
  private readonly overlay: Overlay;
  private readonly outlines: OutlineLayer | null;
  private readonly tissue: TissueLayer | null;
  private readonly dots = new Map<string, PictureLayer>();
  private readonly map: PictureLayer;
  private readonly ends: (() => void)[] = [];
  /** Pictures of which the coarsest tile, which holds all, is there. */
  private readonly whole = new Set<OpenSeadragon.TiledImage>();
  private settled = 0;
  private seen = "";
  private opened = false;

  constructor(
    private readonly element: HTMLElement,
    private readonly navigator: HTMLElement | null,
    readonly slide: Slide,
    readonly result: state.Result,
    private readonly hovered: (hover: Hover | null) => void,
    /** Whose pixels are shown: two results of a slide share them. */
    private readonly ground = slide,
  ) {
    const shown = navigator ? { showNavigator: true, navigatorElement: navigator } : {};
    this.viewer = OpenSeadragon({ ...OPTIONS, ...shown, element } as OpenSeadragon.Options);
    this.overlay = new Overlay(() => this.painter);
    this.painter = Painter.on(this.overlay.canvas);
    this.viewer.canvas.appendChild(this.overlay.canvas);
    const fail = (reason: string) => (state.problem.value = reason);
    this.outlines = this.painter && new OutlineLayer(slide, this.painter, () => this.redraw(), fail);
    this.tissue = this.painter && new TissueLayer(slide, this.painter, () => this.redraw(), fail);
    if (!this.painter) fail("This browser offers no WebGL 2: outlines and tissue cannot be drawn; use another browser.");
    const picture = () => new PictureLayer(this.viewer, slide, () => this.redraw(), (image) => this.whole.has(image));
    for (const kind of slide.kinds) this.dots.set(kind.kind, picture());
    this.map = picture();
    this.viewer.addHandler("open", () => this.begin());
    this.viewer.addHandler("tile-loaded", ({ tile, tiledImage }) => {
      if (tile.level === tiledImage.source.minLevel) this.whole.add(tiledImage);
    });
    this.viewer.addHandler("update-viewport", () => this.draw());
    this.viewer.addHandler("canvas-key", (event) => void (event.preventDefaultAction = true));
    // Both fingers move within one frame: without this the viewer forgets where the first one led.
    this.viewer.addHandler("canvas-pinch", () => void this.viewer.viewport.update());
    this.viewer.addHandler("canvas-click", (event) => event.quick && this.click(event.position));
    this.viewer.open(this.source() as unknown as OpenSeadragon.TileSourceSpecifier);
    this.followPointer();
  }

  /** Its slide, then that beside it. */
  get slides(): Slide[] {
    return this.beside ? [this.slide, this.beside.slide] : [this.slide];
  }

  /** From level-0 pixels to CSS pixels, as drawn in this frame. */
  get matrix(): Affine {
    const { viewport } = this.viewer;
    const { width } = this.slide;
    const place = (x: number, y: number) => viewport.pixelFromPoint(new OpenSeadragon.Point(x / width, y / width), true);
    const [o, u, v] = [place(0, 0), place(width, 0), place(0, width)];
    return { a: (u.x - o.x) / width, b: (u.y - o.y) / width, c: (v.x - o.x) / width, d: (v.y - o.y) / width, e: o.x, f: o.y };
  }

  get size(): { width: number; height: number } {
    return { width: this.element.clientWidth, height: this.element.clientHeight };
  }

  get place(): Place {
    const { viewport } = this.viewer;
    const centre = viewport.getCenter(false);
    const zoom = (viewport.getZoom(false) * this.size.width) / this.slide.width;
    return { x: centre.x * this.slide.width, y: centre.y * this.slide.width, zoom, rotation: Math.round(viewport.getRotation(false)) };
  }

  goTo(place: Place, immediately: boolean): void {
    this.leads();
    const { viewport } = this.viewer;
    const { width } = this.slide;
    viewport.setRotation(place.rotation, immediately);
    viewport.zoomTo((place.zoom * width) / this.size.width, undefined, immediately);
    viewport.panTo(new OpenSeadragon.Point(place.x / width, place.y / width), immediately);
  }

  /** Show what another one shows now. */
  follow(other: Stage): void {
    if (!this.opened || !other.opened) return;
    const [own, theirs] = [this.viewer.viewport, other.viewer.viewport];
    const zoom = (theirs.getZoom(true) * other.size.width) / this.size.width;
    const centre = theirs.getCenter(true);
    const there = own.getCenter(true);
    const turned = theirs.getRotation(true);
    if (own.getZoom(true) === zoom && there.x === centre.x && there.y === centre.y && own.getRotation(true) === turned) return;
    own.setRotation(turned, true);
    own.zoomTo(zoom, undefined, true);
    own.panTo(centre, true);
    this.viewer.forceRedraw();
  }

  /** So that an object fills about a quarter of the screen, or less if that were too close. */
  flyTo(object: ObjectFacts): void {
    const [left, top, right, bottom] = object.box;
    const extent = Math.max(right - left, bottom - top, 1);
    const wanted = (Math.min(this.size.width, this.size.height) * 0.25) / extent;
    const zoom = Math.min(wanted, 2.5 * Math.max(1, this.slide.mpp / 0.25));
    this.goTo({ ...this.place, x: object.x, y: object.y, zoom }, false);
  }

  by(action: "in" | "out" | "home" | "left" | "right" | "up" | "down" | "clockwise" | "counter"): void {
    this.leads();
    const { viewport } = this.viewer;
    const step = viewport.getBounds(false).width * 0.15;
    const pan = (x: number, y: number) => viewport.panBy(new OpenSeadragon.Point(x, y).rotate(-viewport.getRotation()));
    const actions = {
      in: () => viewport.zoomBy(1.5),
      out: () => viewport.zoomBy(1 / 1.5),
      home: () => (viewport.setRotation(0), viewport.goHome()),
      left: () => pan(-step, 0),
      right: () => pan(step, 0),
      up: () => pan(0, -step),
      down: () => pan(0, step),
      clockwise: () => viewport.rotateBy(15),
      counter: () => viewport.rotateBy(-15),
    };
    actions[action]();
    viewport.applyConstraints();
  }

  /** Pixels of slide and layers, for a picture to take away. */
  copy(): HTMLCanvasElement {
    const { width, height } = this.size;
    const dpr = devicePixelRatio;
    const picture = document.createElement("canvas");
    [picture.width, picture.height] = [Math.round(width * dpr), Math.round(height * dpr)];
    const ink = picture.getContext("2d")!;
    ink.drawImage(this.viewer.drawer.canvas as HTMLCanvasElement, 0, 0, picture.width, picture.height);
    this.overlay.changed();
    this.draw(true);
    const { canvas } = this.overlay;
    const margin = [picture.width - canvas.width, picture.height - canvas.height];
    ink.globalAlpha = state.layers.value.opacity;
    ink.drawImage(canvas, margin[0] / 2, margin[1] / 2);
    return picture;
  }

  stop(): void {
    clearTimeout(this.settled);
    for (const end of this.ends) end();
    this.outlines?.stop();
    this.tissue?.stop();
    this.viewer.destroy();
  }

  private begin(): void {
    this.opened = true;
    const { place } = state;
    if (place.value) this.goTo(place.value, true);
    if (this.beside) this.follow(this.beside);
    void this.outlines?.start().catch((error: Error) => (state.problem.value = error.message));
    this.viewer.world.getItemAt(0).addHandler("fully-loaded-change", () => this.redraw());
    this.ends.push(
      effect(() => (void state.layers.value, void this.result.selected.value, this.redraw())),
      effect(() => {
        if (!state.jump.value || this.result.side) return;
        const wanted = untracked(() => place.value);
        if (wanted) this.goTo(wanted, true);
      }),
    );
    this.redraw();
  }

  private redraw(): void {
    if (!this.opened) return;
    this.overlay.changed();
    this.viewer.forceRedraw();
  }

  private draw(settled = false): void {
    if (!this.opened) return;
    const { width, height } = this.size;
    if (!width || !height) return;
    const { matrix } = this;
    const layers = state.layers.value;
    const isOn = (kind: string) => !layers.off.includes(kind);
    this.outlines?.update(matrix, width, height, devicePixelRatio, isOn);
    this.overlay.canvas.style.opacity = String(layers.opacity);
    this.overlay.show(matrix, width, height, settled, () => {
      if (layers.tissue) this.tissue!.draw(layers.off, layers.tissueOpacity);
      this.drawKinds(layers, matrix);
    });
    this.showMap(layers);
    for (const kind of this.slide.kinds) this.showDots(kind, layers, isOn(kind.kind));
    if (!settled) this.later(matrix);
    this.sayReady(layers, matrix);
  }

  private drawKinds(layers: Layers, matrix: Affine): void {
    const scale = scaleOf(matrix);
    for (const kind of this.slide.kinds) {
      const diameter = (this.outlines!.diameterUm(kind.kind) / this.slide.mpp) * scale;
      const tiles = this.outlines!.shown(kind.kind);
      const shades = this.shades(kind, layers);
      if (layers.filled) this.painter!.drawFills(tiles, shades, layers.least);
      const width = Math.min(LINE_PX, Math.max(1, diameter / 9));
      this.painter!.drawLines(tiles, shades, layers.least, width, diameter > LARGE_PX ? EDGE_PX : 0);
    }
    this.drawSelected();
  }

  /** The selected object again, on top of all, in white with a wide dark edge. */
  private drawSelected(): void {
    const one = this.result.selected.value;
    const found = one && this.outlines!.find(one.kind, one.id);
    if (!found) return;
    const { tile, n } = found;
    const rings = tile.tile.objectRings;
    const [start, end] = [tile.ringStart[rings[n]], tile.ringStart[rings[n + 1]]];
    this.painter!.drawPart(tile, start, end, SELECTED);
  }

  /** By class code + 1; place 0 is for objects without a class. */
  private shades(kind: Kind, layers: Layers): Shade[] {
    const shade = (key: string, css: string): Shade => {
      const [r, g, b] = rgb(css);
      return [r / 255, g / 255, b / 255, layers.off.includes(key) ? 0 : 1];
    };
    const own = new Map(kind.classes.map((one) => [one.name, one.colour]));
    const untyped = kind.typed ? UNCLASSIFIED_COLOUR : kind.classes[0].colour;
    const known = this.slide.classes.map((name) => shade(`${kind.kind}/${name}`, own.get(name) ?? UNCLASSIFIED_COLOUR));
    return [shade(kind.kind, untyped), ...known];
  }

  private showMap({ map, mapOpacity }: Layers): void {
    const [head, channel] = map.split("/");
    if (!this.slide.maps.some((one) => one.head === head)) return this.map.hide();
    const path = `maps/${head}/${encodeURIComponent(channel)}`;
    this.map.show({ path, query: { v: this.slide.stamp }, tile: this.slide.tile, beneath: true }, mapOpacity);
  }

  private showDots(kind: Kind, layers: Layers, isOn: boolean): void {
    const classes = kind.classes.map((one) => one.name).filter((name) => !layers.off.includes(`${kind.kind}/${name}`));
    const all = !kind.typed || classes.length === kind.classes.length;
    const isShown = isOn && kind.count > 0 && !(this.outlines?.covers(kind.kind) ?? false);
    const query = { ...shownQuery(this.slide), least: layers.least || null, classes: all ? null : classes.join(",") };
    const source = { path: `dots/${kind.kind}`, query, tile: this.slide.dots, beneath: false };
    this.dots.get(kind.kind)!.show(source, isShown ? layers.opacity : 0, this.outlines?.isDense(kind.kind) ?? true);
  }

  /** Once nothing moves any more, all is painted, and the address and the counts follow. */
  private later(matrix: Affine): void {
    const moved = JSON.stringify(matrix) !== this.seen;
    if (!moved && (this.settled || this.overlay.isCurrent(matrix))) return;
    this.seen = JSON.stringify(matrix);
    clearTimeout(this.settled);
    this.settled = window.setTimeout(() => {
      this.settled = 0;
      this.draw(true);
      if (this.result.side) return;
      state.place.value = this.place;
      state.frame.value = { matrix: this.matrix, ...this.size };
    }, SETTLED_MS);
  }

  /**
   * For those who wait: "coarse" once the slide and all objects in view are on the screen, finer or coarser; "true"
   * once all is as fine as it gets.
   */
  private sayReady(layers: Layers, matrix: Affine): void {
    const image = this.viewer.world.getItemAt(0);
    const pictures = [this.map, ...this.dots.values()];
    const tissue = !layers.tissue || (this.tissue?.isComplete ?? true);
    const outlines = (this.outlines?.isComplete ?? true) && tissue;
    const ready = (image?.getFullyLoaded() ?? false) && outlines && pictures.every((layer) => layer.isComplete);
    const current = ready && layers === state.layers.value && this.overlay.isCurrent(matrix);
    const seen = this.whole.has(image) && this.slide.kinds.every((kind) => this.isSeen(kind, layers));
    this.element.dataset.ready = current ? "true" : seen ? "coarse" : "false";
    if (!current) return;
    this.rested();
    this.rested = () => undefined;
  }

  private isSeen({ kind, count }: Kind, { off, opacity }: Layers): boolean {
    const isShown = count > 0 && opacity > 0 && !off.includes(kind);
    return !isShown || (this.outlines?.covers(kind) ?? false) || this.dots.get(kind)!.isSeen;
  }

  private accepts(hit: Hit): boolean {
    const { least, off } = state.layers.value;
    const name = this.slide.classes[hit.code];
    return !(hit.prob < least) && !(name && off.includes(`${hit.kind}/${name}`));
  }

  private click(position: Point): void {
    const point = apply(inverse(this.matrix), position);
    const hit = this.outlines?.pick(point, (one) => this.accepts(one));
    choose(hit?.id ?? null, this.result.side);
    if (hit) state.tab.value = "object";
  }

  private followPointer(): void {
    let asked = 0;
    const lead = () => this.leads();
    const move = (event: PointerEvent) => {
      cancelAnimationFrame(asked);
      const bounds = this.element.getBoundingClientRect();
      const at = { x: event.clientX - bounds.left, y: event.clientY - bounds.top };
      state.pointer.value = { at, side: this.result.side };
      asked = requestAnimationFrame(() => {
        if (!this.opened || event.buttons) return this.hovered(null);
        const point = apply(inverse(this.matrix), at);
        const hit = this.outlines?.pick(point, (one) => this.accepts(one)) ?? null;
        const cell = state.layers.value.tissue ? (this.tissue?.at(point) ?? null) : null;
        this.hovered(hit || cell ? { at, hit, cell } : null);
      });
    };
    const leave = () => (cancelAnimationFrame(asked), this.hovered(null), (state.pointer.value = null));
    for (const touched of [this.element, this.navigator])
      for (const touch of ["pointerdown", "wheel"]) touched?.addEventListener(touch, lead, { capture: true, passive: true });
    this.element.addEventListener("pointermove", move);
    this.element.addEventListener("pointerleave", leave);
    this.ends.push(() => {
      cancelAnimationFrame(asked);
      this.element.removeEventListener("pointermove", move);
      this.element.removeEventListener("pointerleave", leave);
    });
  }

  private source(): object {
    const { ground: slide } = this;
    return {
      width: slide.width,
      height: slide.height,
      tileSize: slide.tile,
      tileOverlap: slide.overlap,
      minLevel: 0,
      maxLevel: slide.levels - 1,
      getTileUrl: (level: number, x: number, y: number) =>
        slide.slide_problem
          ? BLANK
          : slideUrl(slide, `tiles/${slide.levels - 1 - level}/${x}_${y}.jpg`, { v: pixelStamp(slide) }),
    };
  }
}
