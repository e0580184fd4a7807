// Positions come in level-0 pixels relative to their tile; `place` and `shift` bring them to device pixels.

const PLACED = `#version 300 es
precision highp float;
uniform vec4 place;
uniform vec2 shift;
uniform vec2 size;
uniform vec4 shades[32];
uniform float least;
vec2 placed(vec2 p) { return vec2(place.x * p.x + place.z * p.y, place.y * p.x + place.w * p.y) + shift; }
vec4 clip(vec2 p) { return vec4(2.0 * p.x / size.x - 1.0, 1.0 - 2.0 * p.y / size.y, 0.0, 1.0); }
// Style of an object: nothing where its class is switched off or too uncertain (NaN: it has no class).
vec4 shade(vec2 about) { return about.x < least ? vec4(0.0) : shades[int(about.y) + 1]; }
`;

/** A segment per instance, drawn as a rectangle around it; (x, y, probability, class) of its start. */
export const LINE_VERTEX = `${PLACED}
in vec4 start;
in vec2 end;
uniform float reach;
out vec2 at;
out float len;
out vec4 ink;
void main() {
  ink = start.w < -1.5 ? vec4(0.0) : shade(start.zw);
  vec2 p = placed(start.xy), q = placed(end);
  len = max(distance(p, q), 1e-4);
  vec2 along = (q - p) / len, across = vec2(-along.y, along.x);
  bool last = (gl_VertexID & 1) == 1;
  float side = (gl_VertexID & 2) == 2 ? 1.0 : -1.0;
  at = vec2(last ? len + reach : -reach, side * reach);
  gl_Position = ink.a == 0.0 ? vec4(2.0, 2.0, 0.0, 1.0) : clip(p + along * at.x + across * at.y);
}`;

/** Round ends, so that segments join; smooth over one device pixel. */
export const LINE_FRAGMENT = `#version 300 es
precision highp float;
in vec2 at;
in float len;
in vec4 ink;
uniform float halfWidth;
uniform float casing;
out vec4 colour;
void main() {
  float away = length(vec2(max(max(-at.x, at.x - len), 0.0), at.y));
  float cover = clamp(halfWidth + 0.5 - away, 0.0, 1.0);
  colour = casing > 0.0 ? vec4(0.0, 0.0, 0.0, casing * cover) : vec4(ink.rgb * cover, cover);
}`;

export const FILL_VERTEX = `${PLACED}
in vec4 start;
out vec4 ink;
void main() {
  ink = shade(start.zw);
  gl_Position = ink.a == 0.0 ? vec4(2.0, 2.0, 0.0, 1.0) : clip(placed(start.xy));
}`;

export const FILL_FRAGMENT = `#version 300 es
precision highp float;
in vec4 ink;
uniform float alpha;
out vec4 colour;
void main() { colour = vec4(ink.rgb * alpha, alpha); }`;

export const CELLS_VERTEX = `${PLACED}
in vec2 corner;
uniform vec2 extent;
out vec2 at;
void main() { at = corner; gl_Position = clip(placed(corner * extent)); }`;

export const CELLS_FRAGMENT = `#version 300 es
precision highp float;
in vec2 at;
uniform sampler2D cells;
uniform float alpha;
out vec4 colour;
void main() { vec4 ink = texture(cells, at); colour = vec4(ink.rgb, 1.0) * ink.a * alpha; }`;
