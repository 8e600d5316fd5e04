/** Exit codes of the command; documented in docs/replay.md, never renumbered. */
export const EXIT = {
  /** Done. */
  ok: 0,
  /** `--check` found what must not be. */
  checkFailed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The input cannot be read, or is no capture. */
  badInput: 3,
  /** The input's tail is truncated or corrupt: everything before it was processed. */
  truncatedInput: 4,
  /** The configuration has mistakes. */
  badConfig: 5,
  /** An output cannot be written. */
  badOutput: 6,
  /** The machine refuses what a gateway needs: privileges, TUN devices, namespaces, a free name. */
  badMachine: 7,
  /** No gateway, or no management interface, runs that could be asked. */
  notRunning: 8,
  /** The management interface refused what was asked of it. */
  refused: 9,
  /** A fault of ours. */
  internal: 70,
  /** Ended by SIGINT. */
  interrupted: 130,
  /** Ended by SIGTERM. */
  terminated: 143,
} as const;
