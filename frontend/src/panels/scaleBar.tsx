import * as state from "../state";
import { scaleBar, scaleOf } from "../view";

export function ScaleBar({ mpp }: { mpp: number }) {
  const { frame } = state;
  if (!frame.value) return null;
  const scale = scaleOf(frame.value.matrix);
  const bar = scaleBar(mpp / scale, 150);
  const magnification = (10 * scale) / mpp;
  return (
    <div class="scale">
      <span title="Magnification as on a microscope, 10x is 1 µm per pixel">{magnification >= 10 ? magnification.toFixed(0) : magnification.toFixed(1)}×</span>
      <span class="length" data-testid="scale-bar">
        {bar.label}
        <i style={{ width: `${bar.px}px` }} />
      </span>
    </div>
  );
}
