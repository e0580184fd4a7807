// Figures and words as people read them.

export function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** Three figures that say something: 1,234 · 56.7 · 0.12. */
export function decimal(value: number): string {
  if (value >= 100) return whole(value);
  if (value >= 10) return value.toFixed(1);
  return value === 0 ? "0" : value.toFixed(2);
}

/** `surface-epithelium` becomes `Surface epithelium`. */
export function words(name: string): string {
  const text = name.replace(/-/g, " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
