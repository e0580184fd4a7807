// WebGL 2: outlines as smooth lines of constant width, fills as triangles, cells of tissue as one picture.

import type { OutlineTile } from "../binary";
import type { Affine } from "../view";
import { FLOATS, fillTriangles, lineVertices } from "./geometry";
import * as shaders from "./shaders";

export interface GpuTile {
  tile: OutlineTile;
  /** Corner in level-0 pixels. */
  left: number;
  top: number;
  points: number;
  ringStart: Uint32Array;
  /** The points as a picture, a texel each. */
  data: WebGLTexture;
  fill: { array: WebGLVertexArrayObject; indices: WebGLBuffer; count: number } | null;
}

/** Red, green, blue 0..1, and 0 where it is not to be drawn. */
export type Shade = [number, number, number, number];

interface Program {
  program: WebGLProgram;
  at: (name: string) => WebGLUniformLocation | null;
}

const FILL_ALPHA = 0.45;
const CASING = 0.5;
const MOST_SHADES = 32;

export class Painter {
  private readonly gl: WebGL2RenderingContext;
  private readonly line: Program;
  private readonly fill: Program;
  private readonly cells: Program;
  private readonly square: WebGLVertexArrayObject;
  /** For what is drawn without vertices of its own. */
  private readonly nothing: WebGLVertexArrayObject;
  private matrix: Affine = { a: 1, b: 0, c: 0, d: 1, e: 0, f: 0 };
  private dpr = 1;

  /** Null where the browser has no WebGL 2. */
  static on(canvas: HTMLCanvasElement): Painter | null {
    const gl = canvas.getContext("webgl2", { alpha: true, antialias: false, premultipliedAlpha: true });
    return gl ? new Painter(gl, canvas) : null;
  }

  private constructor(gl: WebGL2RenderingContext, readonly canvas: HTMLCanvasElement) {
    this.gl = gl;
    this.line = program(gl, shaders.LINE_VERTEX, shaders.LINE_FRAGMENT);
    this.fill = program(gl, shaders.FILL_VERTEX, shaders.FILL_FRAGMENT);
    this.cells = program(gl, shaders.CELLS_VERTEX, shaders.CELLS_FRAGMENT);
    this.square = this.unitSquare();
    this.nothing = gl.createVertexArray();
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  /** Wipes the canvas; `matrix` leads from level-0 pixels to CSS pixels. */
  begin(width: number, height: number, dpr: number, matrix: Affine): void {
    const { gl, canvas } = this;
    const [w, h] = [Math.round(width * dpr), Math.round(height * dpr)];
    if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
    gl.viewport(0, 0, w, h);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    this.matrix = matrix;
    this.dpr = dpr;
  }

  /** Waits until all is painted: only then is it known how long that takes. */
  finish(): void {
    const { gl } = this;
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  }

  drawFills(tiles: GpuTile[], shades: Shade[], least: number): void {
    const { gl } = this;
    this.use(this.fill, shades, least);
    gl.uniform1f(this.fill.at("alpha"), FILL_ALPHA);
    for (const tile of tiles) {
      const { array, count } = this.filled(tile);
      this.moveTo(this.fill, tile.left, tile.top);
      gl.bindTexture(gl.TEXTURE_2D, tile.data);
      gl.bindVertexArray(array);
      gl.drawElements(gl.TRIANGLES, count, gl.UNSIGNED_INT, 0);
    }
  }

  /** Lines of `width` CSS pixels with a dark edge, to be seen on any ground. */
  drawLines(tiles: GpuTile[], shades: Shade[], least: number, width: number, edge: number): void {
    const { gl } = this;
    this.use(this.line, shades, least);
    for (const casing of edge > 0 ? [CASING, 0] : [0]) {
      const half = (width / 2 + (casing ? edge : 0)) * this.dpr;
      gl.uniform1f(this.line.at("halfWidth"), half);
      gl.uniform1f(this.line.at("reach"), half + 0.5);
      gl.uniform1f(this.line.at("casing"), casing);
      gl.blendEquation(casing ? gl.MAX : gl.FUNC_ADD);
      for (const tile of tiles) this.drawSegments(tile, 0, tile.points);
    }
  }

  /** Points start..end of a tile as a line of its own, on top. */
  drawPart(tile: GpuTile, start: number, end: number, shade: Shade): void {
    const { gl } = this;
    this.use(this.line, Array<Shade>(MOST_SHADES).fill(shade), 0);
    for (const [casing, half] of [[0.85, 3.4], [0, 1.6]] as const) {
      gl.uniform1f(this.line.at("halfWidth"), half * this.dpr);
      gl.uniform1f(this.line.at("reach"), half * this.dpr + 0.5);
      gl.uniform1f(this.line.at("casing"), casing);
      this.drawSegments(tile, start, end);
    }
  }

  /** A picture over a part of the slide from its corner; only a share of it where it is larger than that. */
  drawCells(texture: WebGLTexture, size: [number, number], share: [number, number], alpha: number): void {
    const { gl } = this;
    this.use(this.cells, [], 0);
    this.moveTo(this.cells, 0, 0);
    gl.uniform2f(this.cells.at("extent"), ...size);
    gl.uniform2f(this.cells.at("share"), ...share);
    gl.uniform1f(this.cells.at("alpha"), alpha);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.bindVertexArray(this.square);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  /** One texel per cell, sharp borders. */
  texture(columns: number, rows: number, rgba: Uint8Array): WebGLTexture {
    return this.picture(columns, rows, this.gl.RGBA, this.gl.UNSIGNED_BYTE, rgba);
  }

  upload(tile: OutlineTile, left: number, top: number): GpuTile {
    const { vertices, ringStart } = lineVertices(tile);
    const points = vertices.length / FLOATS;
    const rows = Math.max(1, Math.ceil(points / shaders.ROW));
    const padded = new Float32Array(rows * shaders.ROW * FLOATS);
    padded.set(vertices);
    const { gl } = this;
    const data = this.picture(shaders.ROW, rows, gl.RGBA32F, gl.FLOAT, padded);
    return { tile, left, top, points, ringStart, data, fill: null };
  }

  free(tile: GpuTile): void {
    const { gl } = this;
    gl.deleteTexture(tile.data);
    if (tile.fill) {
      gl.deleteBuffer(tile.fill.indices);
      gl.deleteVertexArray(tile.fill.array);
    }
  }

  freeTexture(texture: WebGLTexture): void {
    this.gl.deleteTexture(texture);
  }

  private filled(tile: GpuTile): NonNullable<GpuTile["fill"]> {
    if (tile.fill) return tile.fill;
    const { gl } = this;
    const triangles = fillTriangles(tile.tile, tile.ringStart);
    const array = gl.createVertexArray();
    const indices = gl.createBuffer();
    gl.bindVertexArray(array);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, indices);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, triangles, gl.STATIC_DRAW);
    tile.fill = { array, indices, count: triangles.length };
    return tile.fill;
  }

  private drawSegments(tile: GpuTile, start: number, end: number): void {
    const { gl } = this;
    if (end - start < 2) return;
    this.moveTo(this.line, tile.left, tile.top);
    gl.uniform1i(this.line.at("first"), start);
    gl.bindTexture(gl.TEXTURE_2D, tile.data);
    gl.bindVertexArray(this.nothing);
    gl.drawArrays(gl.TRIANGLES, 0, 6 * (end - start - 1));
  }

  private picture(width: number, height: number, format: number, type: number, values: ArrayBufferView): WebGLTexture {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.texImage2D(gl.TEXTURE_2D, 0, format, width, height, 0, gl.RGBA, type, values);
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.NEAREST);
    for (const wrap of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, wrap, gl.CLAMP_TO_EDGE);
    return texture;
  }

  private use(of: Program, shades: Shade[], least: number): void {
    const { gl, matrix, dpr, canvas } = this;
    gl.useProgram(of.program);
    gl.blendEquation(gl.FUNC_ADD);
    gl.uniform4f(of.at("place"), matrix.a * dpr, matrix.b * dpr, matrix.c * dpr, matrix.d * dpr);
    gl.uniform2f(of.at("size"), canvas.width, canvas.height);
    gl.uniform1f(of.at("least"), least);
    if (shades.length) {
      const flat = new Float32Array(4 * MOST_SHADES);
      shades.slice(0, MOST_SHADES).forEach((shade, n) => flat.set(shade, 4 * n));
      gl.uniform4fv(of.at("shades"), flat);
    }
  }

  /** Computed in double precision: 32 bits are too few for the pixels of a slide. */
  private moveTo(of: Program, left: number, top: number): void {
    const { a, b, c, d, e, f } = this.matrix;
    this.gl.uniform2f(of.at("shift"), (a * left + c * top + e) * this.dpr, (b * left + d * top + f) * this.dpr);
  }

  private unitSquare(): WebGLVertexArrayObject {
    const { gl } = this;
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]), gl.STATIC_DRAW);
    const at = gl.getAttribLocation(this.cells.program, "corner");
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, 2, gl.FLOAT, false, 0, 0);
    return array;
  }
}

function program(gl: WebGL2RenderingContext, vertex: string, fragment: string): Program {
  const made = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]] as const) {
    const shader = gl.createShader(type)!;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made) ?? "no program");
  const known = new Map<string, WebGLUniformLocation | null>();
  const at = (name: string) => {
    if (!known.has(name)) known.set(name, gl.getUniformLocation(made, name));
    return known.get(name)!;
  };
  return { program: made, at };
}
