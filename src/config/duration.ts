/** Durations as text: `300s`, `15m`, `2h`, `1d`; a bare number is seconds. */
const secondsOf: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86400 };

/** Whole seconds, or undefined if it is not a duration. */
export function parseDuration(value: string | number): number | undefined {
  const parts = /^(\d{1,10})(s|m|h|d|)$/.exec(String(value));
  return parts ? Number(parts[1]) * (secondsOf[parts[2] as string] as number) : undefined;
}

/** `4m10s`, `2h`, `0s` */
export function shortDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const;
  return (
    parts
      .filter(([number]) => number > 0)
      .slice(0, 2)
      .map(([number, unit]) => `${number}${unit}`)
      .join('') || '0s'
  );
}
