import { fullScreen, swapTheme } from "../keys";
import { select } from "../select";
import * as state from "../state";
import type { Stage } from "../viewer/stage";
import { Icon, type IconName } from "./icons";

export function TopBar({ stage }: { stage: Stage | null }) {
  const { cohort } = state;
  return (
    <header class="bar">
      {cohort.value && !cohort.value.single && (
        <a class="back" href="#/" onClick={(event) => (event.preventDefault(), state.openCohort())}>
          <Icon name="back" /> {cohort.value.title}
        </a>
      )}
      <span class="name" title={state.slideName.value}>
        {state.slideName.value}
      </span>
      <Search stage={stage} />
      <nav class="tools" aria-label="View">
        <Tool icon="plus" label="Closer (+)" run={() => stage?.by("in")} />
        <Tool icon="minus" label="Further away (-)" run={() => stage?.by("out")} />
        <Tool icon="home" label="Whole slide (0)" run={() => stage?.by("home")} />
        <Tool icon="turn" label="Turn (r)" run={() => stage?.by("clockwise")} />
        <Tool icon="full" label="Full screen (f)" run={() => void fullScreen()} />
        <Tool icon="theme" label="Dark or light (d)" run={swapTheme} />
        <Tool icon="help" label="Keyboard (?)" run={() => (state.helpOpen.value = true)} />
        <Tool icon="panel" label="Side panel (b)" run={() => (state.panelOpen.value = !state.panelOpen.value)} />
      </nav>
    </header>
  );
}

function Search({ stage }: { stage: Stage | null }) {
  const submit = (event: Event) => {
    event.preventDefault();
    const field = (event.target as HTMLFormElement).elements.namedItem("id") as HTMLInputElement;
    const id = Number(field.value);
    if (stage && Number.isInteger(id) && id > 0) select(id);
    field.blur();
  };
  return (
    <form class="search" role="search" onSubmit={submit}>
      <input id="search" name="id" inputMode="numeric" pattern="[0-9]*" placeholder="Object id" aria-label="Search an object by its id" />
    </form>
  );
}

export function Tool({ icon, label, run }: { icon: IconName; label: string; run: () => void }) {
  return (
    <button class="tool" title={label} aria-label={label} onClick={run}>
      <Icon name={icon} />
    </button>
  );
}
