// A picture to take away: what is on the screen, with scale bar and legend.

import { scaleBar } from "../view";
import type { Named } from "../api";

export interface Caption {
  title: string;
  umPerPx: number;
  classes: Named[];
}

const PAD = 14;
const LINE = 22;

export function withCaption(picture: HTMLCanvasElement, caption: Caption, dpr: number): HTMLCanvasElement {
  const ink = picture.getContext("2d")!;
  ink.globalAlpha = 1;
  ink.scale(dpr, dpr);
  const [width, height] = [picture.width / dpr, picture.height / dpr];
  drawBar(ink, caption.umPerPx, width, height);
  if (caption.classes.length) drawLegend(ink, caption);
  return picture;
}

/** Two pictures of the same height as one. */
export function sideBySide(left: HTMLCanvasElement, right: HTMLCanvasElement): HTMLCanvasElement {
  const both = document.createElement("canvas");
  [both.width, both.height] = [left.width + right.width, Math.max(left.height, right.height)];
  const ink = both.getContext("2d")!;
  ink.drawImage(left, 0, 0);
  ink.drawImage(right, left.width, 0);
  return both;
}

function drawBar(ink: CanvasRenderingContext2D, umPerPx: number, width: number, height: number): void {
  const bar = scaleBar(umPerPx, 160);
  const left = width - PAD - bar.px;
  panel(ink, left - PAD, height - PAD - 40, bar.px + 2 * PAD - 2, 40);
  ink.fillStyle = "#1c1a22";
  ink.fillRect(left, height - PAD - 12, bar.px, 4);
  ink.font = "600 13px system-ui, sans-serif";
  ink.textAlign = "center";
  ink.fillText(bar.label, left + bar.px / 2, height - PAD - 19);
  ink.textAlign = "left";
}

function drawLegend(ink: CanvasRenderingContext2D, { title, classes }: Caption): void {
  ink.font = "600 13px system-ui, sans-serif";
  const widest = Math.max(ink.measureText(title).width, ...classes.map((one) => ink.measureText(one.name).width + 24));
  panel(ink, PAD, PAD, widest + 2 * PAD, LINE * (classes.length + 1) + PAD);
  ink.fillStyle = "#1c1a22";
  ink.fillText(title, 2 * PAD, PAD + LINE);
  ink.font = "13px system-ui, sans-serif";
  classes.forEach(({ name, colour }, n) => {
    const top = PAD + LINE * (n + 2);
    ink.fillStyle = colour;
    ink.fillRect(2 * PAD, top - 11, 13, 13);
    ink.strokeStyle = "#0008";
    ink.strokeRect(2 * PAD + 0.5, top - 10.5, 12, 12);
    ink.fillStyle = "#1c1a22";
    ink.fillText(name, 2 * PAD + 22, top);
  });
}

function panel(ink: CanvasRenderingContext2D, x: number, y: number, width: number, height: number): void {
  ink.fillStyle = "#ffffffe0";
  ink.beginPath();
  ink.roundRect(x, y, width, height, 8);
  ink.fill();
}

export function download(url: string, name: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}
