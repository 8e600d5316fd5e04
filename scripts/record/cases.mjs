// All cases, in the order in which they are recorded and listed.

import { packets } from './cases-packets.mjs';
import { streams } from './cases-streams.mjs';

export const cases = [...streams, ...packets];
