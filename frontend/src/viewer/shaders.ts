// Positions come in level-0 pixels relative to their tile; `place` and `shift` bring them to device pixels.

const PLACED = `#version 300 es
precision highp float;
uniform vec4 place;
uniform vec2 shift;
uniform vec2 size;
uniform vec4 shades[32];
uniform float least;
uniform sampler2D points; // x, y, probability, class
const int ROW = 2048;
vec4 point(int n) { return texelFetch(points, ivec2(n % ROW, n / ROW), 0); }
vec2 placed(vec2 p) { return vec2(place.x * p.x + place.z * p.y, place.y * p.x + place.w * p.y) + shift; }
vec4 clip(vec2 p) { return vec4(2.0 * p.x / size.x - 1.0, 1.0 - 2.0 * p.y / size.y, 0.0, 1.0); }
// Style of an object: nothing where its class is switched off or too uncertain (NaN: it has no class).
vec4 shade(vec2 about) { return about.x < least ? vec4(0.0) : shades[int(about.y) + 1]; }
`;

/** Points of a row of the picture that holds them. */
export const ROW = 2048;

/** Two triangles around every segment. Not an instance each: without a graphics card those cost a draw each. */
export const LINE_VERTEX = `${PLACED}
uniform int first;
uniform float reach;
out vec2 at;
out float len;
out vec4 ink;
void main() {
  int segment = first + gl_VertexID / 6, corner = gl_VertexID % 6;
  vec4 start = point(segment);
  vec2 end = point(segment + 1).xy;
  ink = start.w < -1.5 ? vec4(0.0) : shade(start.zw);
  vec2 p = placed(start.xy), q = placed(end);
  len = max(distance(p, q), 1e-4);
  vec2 along = (q - p) / len, across = vec2(-along.y, along.x);
  bool last = (0x1a >> corner & 1) == 1;
  float side = (0x34 >> corner & 1) == 1 ? 1.0 : -1.0;
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
out vec4 ink;
void main() {
  vec4 start = point(gl_VertexID);
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
uniform vec2 share;
out vec2 at;
void main() { at = corner * share; gl_Position = clip(placed(corner * extent)); }`;

export const CELLS_FRAGMENT = `#version 300 es
precision highp float;
in vec2 at;
uniform sampler2D cells;
uniform float alpha;
out vec4 colour;
void main() { vec4 ink = texture(cells, at); colour = vec4(ink.rgb, 1.0) * ink.a * alpha; }`;
