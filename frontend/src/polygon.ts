// How much of the screen is slide.

import type { Point } from "./view";

/** Area of the part of a convex polygon that lies on the slide, in level-0 pixels. */
export function areaOnSlide(polygon: Point[], { width, height }: { width: number; height: number }): number {
  let cut = polygon;
  for (const [inside, across] of sides(width, height)) cut = clipped(cut, inside, across);
  let twice = 0;
  cut.forEach((p, n) => {
    const q = cut[(n + 1) % cut.length];
    twice += p.x * q.y - q.x * p.y;
  });
  return Math.abs(twice) / 2;
}

type Side = [inside: (p: Point) => boolean, across: (p: Point, q: Point) => Point];

function sides(width: number, height: number): Side[] {
  const at = (p: Point, q: Point, t: number): Point => ({ x: p.x + t * (q.x - p.x), y: p.y + t * (q.y - p.y) });
  const onX = (x: number) => (p: Point, q: Point) => at(p, q, (x - p.x) / (q.x - p.x));
  const onY = (y: number) => (p: Point, q: Point) => at(p, q, (y - p.y) / (q.y - p.y));
  return [
    [(p) => p.x >= 0, onX(0)],
    [(p) => p.x <= width, onX(width)],
    [(p) => p.y >= 0, onY(0)],
    [(p) => p.y <= height, onY(height)],
  ];
}

function clipped(polygon: Point[], inside: Side[0], across: Side[1]): Point[] {
  return polygon.flatMap((p, n) => {
    const before = polygon[(n + polygon.length - 1) % polygon.length];
    const enters = inside(p) !== inside(before) ? [across(before, p)] : [];
    return inside(p) ? [...enters, p] : enters;
  });
}
