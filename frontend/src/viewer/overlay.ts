// The canvas above the slide. Where painting is quick it is painted in every frame; where it is slow (no graphics
// card), the last painting moves along with the slide and is made anew once that rests.

import type { Affine } from "../view";
import { inverse, scaleOf } from "../view";
import type { Painter } from "./painter";

/** Painting that takes longer is not done in every frame. */
const QUICK_MS = 7;
/** A slow painting is made anew while moving at most this often. */
const AGAIN_MS = 700;
/** The canvas reaches beyond the screen: outlines come in with the slide, not after it. */
const MARGIN_PX = 96;
const MOST_STRETCH = 2;

export class Overlay {
  readonly canvas = document.createElement("canvas");
  private drawn: Affine | null = null;
  private stale = true;
  private cost = Infinity;
  private paintedAt = 0;
  private size = { width: 0, height: 0 };

  constructor(private readonly painter: (canvas: HTMLCanvasElement) => Painter | null) {
    this.canvas.className = "outlines";
  }

  /** Something else is to be drawn. */
  changed(): void {
    this.stale = true;
  }

  /** True if what is on the screen is what was asked for. */
  isCurrent(matrix: Affine): boolean {
    return !this.stale && this.drawn !== null && same(this.drawn, matrix);
  }

  /** Show a view; `settled` paints it whatever it costs. */
  show(matrix: Affine, width: number, height: number, settled: boolean, content: () => void): void {
    const painter = this.painter(this.canvas);
    if (!painter) return;
    const isResized = width !== this.size.width || height !== this.size.height;
    if (this.isCurrent(matrix) && !isResized) return;
    if (settled || isResized || !this.drawn || this.isWorthPainting(matrix)) {
      this.size = { width, height };
      this.paint(painter, matrix, content);
    } else this.move(matrix);
  }

  private isWorthPainting(matrix: Affine): boolean {
    if (this.cost <= QUICK_MS) return true;
    const stretch = scaleOf(matrix) / scaleOf(this.drawn!);
    const far = stretch > MOST_STRETCH || stretch < 1 / MOST_STRETCH || this.isBare(matrix);
    return far && performance.now() - this.paintedAt > AGAIN_MS;
  }

  private paint(painter: Painter, matrix: Affine, content: () => void): void {
    const { width, height } = this.size;
    const shifted = { ...matrix, e: matrix.e + MARGIN_PX, f: matrix.f + MARGIN_PX };
    Object.assign(this.canvas.style, { left: `${-MARGIN_PX}px`, top: `${-MARGIN_PX}px`, transform: "none" });
    Object.assign(this.canvas.style, { width: `${width + 2 * MARGIN_PX}px`, height: `${height + 2 * MARGIN_PX}px` });
    const begin = performance.now();
    painter.begin(width + 2 * MARGIN_PX, height + 2 * MARGIN_PX, devicePixelRatio, shifted);
    content();
    painter.finish();
    this.cost = performance.now() - begin;
    this.drawn = matrix;
    this.stale = false;
    this.paintedAt = performance.now();
  }

  /** The painting goes where the slide went. */
  private move(matrix: Affine): void {
    const m = after(matrix, inverse(this.drawn!));
    const e = m.e + MARGIN_PX - (m.a + m.c) * MARGIN_PX;
    const f = m.f + MARGIN_PX - (m.b + m.d) * MARGIN_PX;
    this.canvas.style.transformOrigin = "0 0";
    this.canvas.style.transform = `matrix(${m.a},${m.b},${m.c},${m.d},${e},${f})`;
  }

  /** True if a corner of the screen lies outside the painting. */
  private isBare(matrix: Affine): boolean {
    const m = after(this.drawn!, inverse(matrix));
    const { width, height } = this.size;
    return [[0, 0], [width, 0], [0, height], [width, height]].some(([x, y]) => {
      const [px, py] = [m.a * x + m.c * y + m.e, m.b * x + m.d * y + m.f];
      return px < -MARGIN_PX || py < -MARGIN_PX || px > width + MARGIN_PX || py > height + MARGIN_PX;
    });
  }
}

/** First `n`, then `m`. */
function after(m: Affine, n: Affine): Affine {
  return {
    a: m.a * n.a + m.c * n.b,
    b: m.b * n.a + m.d * n.b,
    c: m.a * n.c + m.c * n.d,
    d: m.b * n.c + m.d * n.d,
    e: m.a * n.e + m.c * n.f + m.e,
    f: m.b * n.e + m.d * n.f + m.f,
  };
}

function same(m: Affine, n: Affine): boolean {
  return m.a === n.a && m.b === n.b && m.c === n.c && m.d === n.d && m.e === n.e && m.f === n.f;
}
