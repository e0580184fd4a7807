// What objects are counted as: classes, and the word for those without one where there are any.

import type { Counts, Kind, KindWords, Named, Slide } from "./api";

/** Of objects without a class whose kind has classes. */
export const UNCLASSIFIED_COLOUR = "#808080";

/** Kinds of one or several results, each once, with the classes that any of them tells apart. */
export function kindsOf(slides: Pick<Slide, "kinds">[]): Kind[] {
  const found = new Map<string, Kind>();
  for (const kind of slides.flatMap(({ kinds }) => kinds)) {
    const known = found.get(kind.kind);
    found.set(kind.kind, known ? both(known, kind) : kind);
  }
  return [...found.values()];
}

function both(one: Kind, other: Kind): Kind {
  const typed = [one, other].filter((kind) => kind.typed);
  const classes = new Map((typed.length ? typed : [one]).flatMap((kind) => kind.classes).map((named) => [named.name, named]));
  return { ...one, typed: typed.length > 0, classes: [...classes.values()], count: one.count + other.count };
}

/** In which colour a result shows objects. */
export function colourOf({ kinds }: Pick<Slide, "kinds">, kind: string, className: string | null): string {
  const words = kinds.find((one) => one.kind === kind);
  const name = words?.typed ? className : kind;
  return words?.classes.find((one) => one.name === name)?.colour ?? UNCLASSIFIED_COLOUR;
}

/** Classes of a kind, then what else some of its objects are counted as. */
export function counted(kind: KindWords, ...all: (Counts | null | undefined)[]): Named[] {
  if (!kind.typed) return kind.classes;
  const found = new Set(all.flatMap((counts) => Object.entries(counts?.[kind.kind] ?? {})).flatMap(([name, count]) => (count > 0 ? [name] : [])));
  for (const { name } of kind.classes) found.delete(name);
  return [...kind.classes, ...[...found].map((name) => ({ name, colour: UNCLASSIFIED_COLOUR }))];
}

/** Whether objects of a class can be switched off by themselves. */
export function canSwitch(kind: KindWords, name: string): boolean {
  return kind.typed && kind.classes.some((one) => one.name === name);
}
