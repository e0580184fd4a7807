import type { Slide } from "../api";
import * as state from "../state";
import { decimal, whole } from "./format";

export function About({ slide, title }: { slide: Slide; title: string }) {
  const { manifest } = slide;
  const mm = (px: number) => decimal((px * slide.mpp) / 1000);
  const rows: [string, string][] = [
    ["File", String(manifest.slide.path)],
    ["Format", String(manifest.slide.vendor)],
    ["Size", `${whole(slide.width)} × ${whole(slide.height)} px (${mm(slide.width)} × ${mm(slide.height)} mm)`],
    ["Resolution", `${slide.mpp} µm/px`],
    ["Tissue", `${decimal(manifest.tissue_area_mm2)} mm²`],
    ["Model", `${manifest.model.name} (${manifest.model.sha256.slice(0, 12)})`],
    ["Device", manifest.device],
    ...Object.entries(manifest.versions),
  ];
  return (
    <>
      {[...slide.warnings, state.stainOf(slide.name).value].filter(Boolean).map((text) => <p class="warning" key={text}>{text}</p>)}
      <section class="card">
        <h2>{title}</h2>
        <dl class="about">
          {rows.map(([name, value]) => (
            <>
              <dt key={name}>{name}</dt>
              <dd>{value}</dd>
            </>
          ))}
        </dl>
      </section>
    </>
  );
}
