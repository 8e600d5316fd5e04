/**
 * A text that is drawn anew in place, as top(1) does: on the terminal's alternate screen (xterm's 1049), which gives back
 * at the end what was there before. Only what a line really needs is sent, so that nothing flickers.
 */
import { EXIT } from './exit-codes.js';

const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
/** ECMA-48: CUP to the top, EL to the line's end, ED to the screen's end. */
const HOME = '\u001b[H';
const TO_LINE_END = '\u001b[K';
const TO_SCREEN_END = '\u001b[J';

/** What of a text fits a terminal; the last line says when there is more. */
export function fit(text: string, rows: number, columns: number): string[] {
  const lines = text.trimEnd().split('\n');
  const shown = lines.length <= rows ? lines : lines.slice(0, rows - 1);
  if (shown.length < lines.length) shown.push(`... ${lines.length - shown.length} more lines`);
  return shown.map((line) => (line.length <= columns ? line : `${line.slice(0, columns - 1)}>`));
}

export class LiveView {
  private readonly terminal: NodeJS.WriteStream;
  private text = '';
  private readonly onResize = (): void => this.draw(this.text);
  /** A terminal that has gone: there is nobody to draw for. */
  private readonly onError = (): void => process.exit(EXIT.badOutput);
  private readonly onSignal = (signal: NodeJS.Signals): void => {
    this.close();
    process.kill(process.pid, signal); // ends it, as it would have without us
  };

  constructor(terminal: NodeJS.WriteStream) {
    this.terminal = terminal;
    terminal.write(ENTER);
    terminal.on('resize', this.onResize);
    terminal.on('error', this.onError);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, this.onSignal);
  }

  draw(text: string): void {
    this.text = text;
    const lines = fit(text, this.terminal.rows, this.terminal.columns);
    this.terminal.write(HOME + lines.map((line) => line + TO_LINE_END).join('\n') + TO_SCREEN_END);
  }

  close(): void {
    this.terminal.off('resize', this.onResize);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, this.onSignal);
    this.terminal.write(LEAVE); // which may be what finds the terminal gone
  }
}
