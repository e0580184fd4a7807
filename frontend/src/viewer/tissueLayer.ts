// Classes of tissue: one texel per cell.

import { getBytes, slideUrl, type Slide } from "../api";
import { decodeTissue, type TissueCells } from "../binary";
import type { Point } from "../view";
import type { Painter } from "./painter";

export interface CellFacts {
  name: string;
  shares: { name: string; colour: string; share: number }[];
}

export class TissueLayer {
  private cells: TissueCells | null = null;
  private isAsked = false;
  private readonly byPlace = new Map<number, number>();
  private texture: WebGLTexture | null = null;
  private drawnOff = "?";
  private columns = 1;
  private rows = 1;

  constructor(
    private readonly slide: Slide,
    private readonly painter: Painter,
    private readonly changed: () => void,
    private readonly failed: (reason: string) => void,
  ) {}

  /** False while cells are wanted and not there. */
  get isComplete(): boolean {
    return this.cells !== null || !this.slide.tissue.length;
  }

  private async load(): Promise<void> {
    const cells = decodeTissue(await getBytes(slideUrl(this.slide, "tissue.bin", { v: this.slide.stamp })));
    for (let n = 0; n < cells.code.length; n++) {
      this.columns = Math.max(this.columns, cells.column[n] + 1);
      this.rows = Math.max(this.rows, cells.row[n] + 1);
      this.byPlace.set(cells.row[n] * 65536 + cells.column[n], n);
    }
    this.cells = cells;
    this.changed();
  }

  /** The cells are asked for when they are drawn for the first time. */
  draw(off: string[], alpha: number): void {
    if (!this.isAsked && this.slide.tissue.length) {
      this.isAsked = true;
      this.load().catch((error: Error) => this.failed(error.message));
    }
    if (!this.cells) return;
    if (this.drawnOff !== off.join()) this.paint(off);
    if (!this.texture) return;
    const { side } = this.cells;
    const whole = [this.columns * side, this.rows * side];
    const seen = [Math.min(whole[0], this.slide.width), Math.min(whole[1], this.slide.height)];
    this.painter.drawCells(this.texture, [seen[0], seen[1]], [seen[0] / whole[0], seen[1] / whole[1]], alpha);
  }

  /** Class and probabilities of the cell at a point of the slide. */
  at(point: Point): CellFacts | null {
    if (!this.cells) return null;
    const { side, classes, code, prob } = this.cells;
    const n = this.byPlace.get(Math.floor(point.y / side) * 65536 + Math.floor(point.x / side));
    if (n === undefined) return null;
    const shares = this.slide.tissue.map((one, c) => ({ ...one, share: prob[n * classes + c] / 255 }));
    return { name: this.slide.tissue[code[n]].name, shares };
  }

  stop(): void {
    if (this.texture) this.painter.freeTexture(this.texture);
  }

  /** The first class (glass) is never painted. */
  private paint(off: string[]): void {
    const { column, row, code } = this.cells!;
    const rgba = new Uint8Array(4 * this.columns * this.rows);
    const shades = this.slide.tissue.map(({ name, colour }, n) => (n === 0 || off.includes(`tissue/${name}`) ? null : rgb(colour)));
    for (let n = 0; n < code.length; n++) {
      const shade = shades[code[n]];
      if (shade) rgba.set([...shade, 255], 4 * (row[n] * this.columns + column[n]));
    }
    this.stop();
    this.texture = this.painter.texture(this.columns, this.rows, rgba);
    this.drawnOff = off.join();
  }
}

/** 0..255 of `#rrggbb`. */
export function rgb(css: string): [number, number, number] {
  return [1, 3, 5].map((at) => parseInt(css.slice(at, at + 2), 16)) as [number, number, number];
}
