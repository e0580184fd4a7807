import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type Plugin } from "vite";

const OUT = "../src/histocerb/web/static";
const SOURCES = ["index.html", "package-lock.json", "src", "tsconfig.json", "vite.config.ts"];
const BUNDLED = ["openseadragon/LICENSE.txt", "preact/LICENSE", "@preact/signals/LICENSE", "@preact/signals-core/LICENSE", "earcut/LICENSE"];

/** All files below, by name. */
function files(path: string): string[] {
  try {
    return readdirSync(path).sort().flatMap((name) => files(join(path, name)));
  } catch {
    return [path];
  }
}

function digest(paths: string[]): string {
  const hash = createHash("sha256");
  for (const path of paths) hash.update(path.replaceAll("\\", "/")).update("\0").update(readFileSync(path)).update("\0");
  return hash.digest("hex");
}

/** Beside the built files: the licences of what is in them, and what they were built from. */
function records(): Plugin {
  return {
    name: "records",
    closeBundle() {
      const licences = BUNDLED.map((path) => `${path.split("/LICENSE")[0]}\n\n${readFileSync(join("node_modules", path), "utf8").trim()}\n`);
      writeFileSync(join(OUT, "licences.txt"), licences.join("\n\n"));
      const built = files(OUT).filter((path) => !path.endsWith("built.json"));
      const found = Object.fromEntries(built.map((path) => [path.slice(OUT.length + 1), createHash("sha256").update(readFileSync(path)).digest("hex")]));
      writeFileSync(join(OUT, "built.json"), `${JSON.stringify({ sources: digest(SOURCES.flatMap(files)), files: found }, null, 2)}\n`);
    },
  };
}

// Built files are committed, so that a clone works without node: names without hashes keep diffs readable.
export default defineConfig({
  base: "./",
  plugins: [records()],
  build: {
    outDir: OUT,
    emptyOutDir: true,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000,
    rollupOptions: {
      output: {
        entryFileNames: "assets/viewer.js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/[name][extname]",
      },
    },
  },
});
