import type { Filter } from '../inspect/filter.js';
import type { TimeStyle } from '../inspect/time.js';

/** What commander makes of the command line of `culvert inspect`. */
export interface InspectFlags {
  readonly time: TimeStyle;
  readonly absoluteSeq?: true;
  readonly json?: true;
  readonly address: Filter['addresses'];
  readonly port: Filter['ports'];
  readonly flow: Filter['flows'];
  readonly protocol: Filter['protocols'];
  readonly limit: number;
  readonly follow?: number;
  readonly stats?: true;
}
