// Objects at low zoom: tiles of dots that the server draws, laid over the slide by the viewer itself.

import type OpenSeadragon from "openseadragon";
import { slideUrl, type Kind, type Slide } from "../api";

export interface DotFilter {
  classes: string[] | null;
  least: number;
}

export class DotLayer {
  private image: OpenSeadragon.TiledImage | null = null;
  private coming = "";
  private drawn = "";
  private opacity = 0;
  private isNeeded = false;

  constructor(
    private readonly viewer: OpenSeadragon.Viewer,
    private readonly slide: Slide,
    private readonly kind: Kind,
    private readonly changed: () => void,
    /** True once the tile of a picture is there that holds all of it. */
    private readonly hasAll: (image: OpenSeadragon.TiledImage) => boolean,
  ) {}

  /** Show dots of these classes with this opacity; where they are not needed, only those that are there already. */
  show(filter: DotFilter, opacity: number, isNeeded: boolean): void {
    const wanted = JSON.stringify(filter);
    this.opacity = opacity;
    this.isNeeded = isNeeded && opacity > 0;
    if (this.isNeeded && wanted !== this.drawn && wanted !== this.coming) this.replace(filter, wanted);
    if (this.image && this.image.getOpacity() !== opacity) this.image.setOpacity(opacity);
  }

  get isComplete(): boolean {
    return !this.isNeeded || (this.coming === "" && (this.image?.getFullyLoaded() ?? false));
  }

  /** True once all objects are on the screen, however coarse. */
  get isSeen(): boolean {
    return this.opacity > 0 && this.image !== null && this.hasAll(this.image);
  }

  /** The finest level at which one tile holds all. */
  private get coarsest(): number {
    const { width, height, dots, levels } = this.slide;
    const halvings = Math.max(0, Math.ceil(Math.log2(Math.max(width, height) / dots)));
    return Math.max(0, levels - 1 - halvings);
  }

  private replace(filter: DotFilter, wanted: string): void {
    this.coming = wanted;
    this.viewer.addTiledImage({
      tileSource: this.source(filter) as unknown as OpenSeadragon.TileSource,
      opacity: this.opacity,
      success: (event) => {
        const made = (event as unknown as { item: OpenSeadragon.TiledImage }).item;
        if (this.coming !== wanted) return this.viewer.world.removeItem(made);
        const before = this.image;
        [this.image, this.drawn, this.coming] = [made, wanted, ""];
        made.setOpacity(this.opacity);
        if (before) made.addOnceHandler("fully-loaded-change", () => this.viewer.world.removeItem(before));
        made.addHandler("fully-loaded-change", this.changed);
        this.changed();
      },
    });
  }

  private source({ classes, least }: DotFilter): object {
    const { slide, kind } = this;
    const query = { v: slide.stamp, shown: slide.shown, least: least || null, classes: classes?.join(",") };
    return {
      width: slide.width,
      height: slide.height,
      tileSize: slide.dots,
      minLevel: this.coarsest,
      maxLevel: slide.levels - 1,
      getTileUrl: (level: number, x: number, y: number) =>
        slideUrl(slide, `dots/${kind.kind}/${slide.levels - 1 - level}/${x}_${y}.webp`, query),
    };
  }
}
