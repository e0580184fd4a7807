// Probabilities of the network, where they were kept.

import type { HeadMap, Slide } from "../api";
import * as state from "../state";
import { Icon } from "./icons";
import { words } from "./format";
import { Slider } from "./layers";

const ALL = "all";

export function HeadMaps({ slide }: { slide: Slide }) {
  const { map, mapOpacity } = state.layers.value;
  const [head, channel] = map.split("/");
  const chosen = slide.maps.find((one) => one.head === head);
  const on = chosen !== undefined;
  const show = (one: HeadMap, name: string) => state.change({ map: `${one.head}/${name}` });
  return (
    <section class={`card legend ${on ? "" : "off"}`}>
      <h2>
        <button class="switch" aria-pressed={on} aria-label="Show a head map" onClick={() => toggleMap(slide)}>
          <Icon name={on ? "eye" : "hidden"} />
        </button>
        Head maps
      </h2>
      {chosen && (
        <>
          <div class="order">
            <select aria-label="Head" value={head} onChange={(event) => show(slide.maps.find((one) => one.head === event.currentTarget.value)!, ALL)}>
              {slide.maps.map((one) => (
                <option key={one.head} value={one.head}>
                  {words(one.head.replace(".", ", "))}
                </option>
              ))}
            </select>
            <select aria-label="Channel" value={channel} onChange={(event) => show(chosen, event.currentTarget.value)}>
              <option value={ALL}>All channels</option>
              {chosen.channels.map(({ name }) => (
                <option key={name} value={name}>
                  {words(name)}
                </option>
              ))}
            </select>
          </div>
          <ul class="keys">
            {chosen.channels
              .filter(({ name }) => channel === ALL || channel === name)
              .map(({ name, colour }) => (
                <li key={name}>
                  <i class="swatch" style={{ background: colour }} />
                  {words(name)}
                </li>
              ))}
          </ul>
          <Slider label="Map opacity" value={mapOpacity} set={(value) => state.change({ mapOpacity: value })} />
        </>
      )}
    </section>
  );
}

/** Hide the head map, or show the first one. */
export function toggleMap(slide: Slide): void {
  const [first] = slide.maps;
  if (first) state.change({ map: state.layers.value.map ? "" : `${first.head}/${ALL}` });
}
