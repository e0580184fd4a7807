import { percent, words } from "./format";
import type { Slide } from "../api";
import type { Hover } from "../viewer/stage";

export function Tooltip({ hover: { at, hit, cell }, slide }: { hover: Hover; slide: Slide }) {
  const name = hit && slide.classes[hit.code];
  const shares = cell?.shares.filter(({ share }) => share >= 0.005).sort((a, b) => b.share - a.share);
  return (
    <div class="tooltip" style={{ left: `${at.x + 14}px`, top: `${at.y + 14}px` }} role="presentation">
      {hit && (
        <p>
          <b>{words(name ?? hit.kind)}</b>
          {name && !slide.shown && ` ${percent(hit.prob)}`} <span class="faint">{hit.area.toFixed(0)} µm²</span>
        </p>
      )}
      {cell && (
        <>
          <p>
            Tissue: <b>{words(cell.name)}</b>
          </p>
          {shares!.map(({ name: tissue, colour, share }) => (
            <div class="share" key={tissue}>
              <i class="swatch" style={{ background: colour }} />
              <span>{words(tissue)}</span>
              <span>{percent(share)}</span>
            </div>
          ))}
        </>
      )}
    </div>
  );
}
