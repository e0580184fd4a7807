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

  constructor(
    private readonly viewer: OpenSeadragon.Viewer,
    private readonly slide: Slide,
    private readonly kind: Kind,
    private readonly changed: () => void,
  ) {}

  /** Show dots of these classes with this opacity; at 0 nothing is asked from the server. */
  show(filter: DotFilter, opacity: number): void {
    const wanted = JSON.stringify(filter);
    this.opacity = opacity;
    if (opacity > 0 && wanted !== this.drawn && wanted !== this.coming) this.replace(filter, wanted);
    if (this.image && this.image.getOpacity() !== opacity) this.image.setOpacity(opacity);
  }

  get isComplete(): boolean {
    return this.opacity === 0 || (this.coming === "" && (this.image?.getFullyLoaded() ?? false));
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
    const radius = Math.max(0.5, kind.diameter_um / 2 / slide.mpp).toFixed(2);
    const query = { v: slide.stamp, shown: slide.shown, radius, least: least || null, classes: classes?.join(",") };
    return {
      width: slide.width,
      height: slide.height,
      tileSize: slide.tile,
      minLevel: 0,
      maxLevel: slide.levels - 1,
      getTileUrl: (level: number, x: number, y: number) =>
        slideUrl(slide, `dots/${kind.kind}/${slide.levels - 1 - level}/${x}_${y}.webp`, query),
    };
  }
}
