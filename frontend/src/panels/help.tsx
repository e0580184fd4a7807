import { useEffect, useRef } from "preact/hooks";
import { KEYS } from "../keys";
import * as state from "../state";

const SHOWN: Record<string, string> = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc" };

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const close = () => (state.helpOpen.value = false);
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={close}>
      <h2 id="help-title">Keyboard</h2>
      <dl>
        {KEYS.map(({ keys, does }) => (
          <div key={does}>
            <dt>{keys.map((key) => <kbd key={key}>{SHOWN[key] ?? key}</kbd>)}</dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <p>Drag to move, wheel or pinch to zoom, double click to go closer, click an object for its facts. The address in the bar leads back to the same view.</p>
      <button onClick={close}>Close</button>
    </dialog>
  );
}
