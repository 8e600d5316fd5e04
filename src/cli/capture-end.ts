/** When a capture ends: its time is over, or Ctrl-C or SIGTERM, which is how one usually ends well. */

export interface End {
  /** From now on time counts. */
  begin(): void;
  /** The capture has ended for another reason. */
  callOff(): void;
}

/** Of one timer, in milliseconds: a longer one fires at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

export function atTheEnd(durationSeconds: number | undefined, end: () => void): End {
  let timer: NodeJS.Timeout | undefined;
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, end);
  const wait = (milliseconds: number): void => {
    const now = Math.min(milliseconds, LONGEST_TIMER);
    timer = setTimeout(() => (milliseconds > now ? wait(milliseconds - now) : end()), now);
  };
  return {
    begin: () => {
      if (durationSeconds !== undefined) wait(durationSeconds * 1000);
    },
    callOff: () => {
      clearTimeout(timer);
      for (const signal of signals) process.off(signal, end);
    },
  };
}
