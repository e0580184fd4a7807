// What objects are counted as: classes, and the word for those without one where there are any.

import type { Counts, KindWords, Named } from "./api";

/** Of objects without a class whose kind has classes. */
export const UNCLASSIFIED_COLOUR = "#808080";

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
