/** What the gateway tells of itself; the command decides how it is written. */

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** What is told of by more than the log: messages that listeners know. */
export const notices = {
  backendUp: 'backend up',
  backendDown: 'backend down',
  portsRunOut: 'NAT ports towards a backend run out: add NAT addresses or backends',
  portsFree: 'NAT ports towards a backend are free again',
  drained: 'a NAT address has drained',
} as const;
