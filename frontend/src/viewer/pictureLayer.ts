// Tiles that the server draws from results, laid over the slide by the viewer itself: dots at low zoom, head maps.

import type OpenSeadragon from "openseadragon";
import { slideUrl, type Query, type Slide } from "../api";

/** Where the tiles of a picture come from; another one is another picture. */
export interface PictureSource {
  /** Address below the slide, before `LEVEL/COLUMN_ROW.webp`. */
  path: string;
  query: Query;
  /** Side of a tile. */
  tile: number;
  /** Right above the slide, below all other pictures. */
  beneath: boolean;
}

export class PictureLayer {
  private image: OpenSeadragon.TiledImage | null = null;
  private coming = "";
  private drawn = "";
  private opacity = 0;
  private isNeeded = false;

  constructor(
    private readonly viewer: OpenSeadragon.Viewer,
    private readonly slide: Slide,
    private readonly changed: () => void,
    /** True once the tile of a picture is there that holds all of it. */
    private readonly hasAll: (image: OpenSeadragon.TiledImage) => boolean,
  ) {}

  /** Show a picture with this opacity; where it is not needed, only if it is there already. */
  show(source: PictureSource, opacity: number, isNeeded = true): void {
    const wanted = JSON.stringify(source);
    this.opacity = opacity;
    this.isNeeded = isNeeded && opacity > 0;
    if (this.isNeeded && wanted !== this.drawn && wanted !== this.coming) this.replace(source, wanted);
    if (this.image && this.image.getOpacity() !== opacity) this.image.setOpacity(opacity);
  }

  hide(): void {
    this.opacity = 0;
    this.isNeeded = false;
    this.image?.setOpacity(0);
  }

  get isComplete(): boolean {
    return !this.isNeeded || (this.coming === "" && (this.image?.getFullyLoaded() ?? false));
  }

  /** True once all of it is on the screen, however coarse. */
  get isSeen(): boolean {
    return this.opacity > 0 && this.image !== null && this.hasAll(this.image);
  }

  private replace(source: PictureSource, wanted: string): void {
    this.coming = wanted;
    this.viewer.addTiledImage({
      tileSource: this.tiles(source) as unknown as OpenSeadragon.TileSource,
      opacity: this.opacity,
      index: source.beneath ? 1 : undefined,
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

  private tiles({ path, query, tile }: PictureSource): object {
    const { width, height, levels } = this.slide;
    const halvings = Math.max(0, Math.ceil(Math.log2(Math.max(width, height) / tile)));
    return {
      width,
      height,
      tileSize: tile,
      // The finest level of which one tile holds all: coarser ones would show nothing sooner.
      minLevel: Math.max(0, levels - 1 - halvings),
      maxLevel: levels - 1,
      getTileUrl: (level: number, x: number, y: number) => slideUrl(this.slide, `${path}/${levels - 1 - level}/${x}_${y}.webp`, query),
    };
  }
}
