/** When a capture ends: its time is over, or Ctrl-C or SIGTERM, which is how one usually ends well. */

export interface End {
  /** From now on time counts. */
  begin(): void;
  /** The capture has ended for another reason. */
  callOff(): void;
}

export function atTheEnd(durationSeconds: number | undefined, end: () => void): End {
  let timer: NodeJS.Timeout | undefined;
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, end);
  return {
    begin: () => {
      if (durationSeconds !== undefined) timer = setTimeout(end, durationSeconds * 1000);
    },
    callOff: () => {
      clearTimeout(timer);
      for (const signal of signals) process.off(signal, end);
    },
  };
}
