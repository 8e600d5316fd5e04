/** Reading alone: steps over every packet of a capture, in this process. */
import { CaptureReader } from '../../src/capture/index.js';

/** @returns seconds @throws Error when the file has another number of packets */
export async function readPackets(path: string, packets: number): Promise<number> {
  const started = process.hrtime.bigint();
  const r = await CaptureReader.open(path);
  let n = 0;
  for (;;) {
    while (r.next()) n++;
    if (!(await r.fill())) break;
  }
  await r.close();
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  if (n !== packets) throw new Error(`${path}: ${String(n)} packets instead of ${String(packets)}`);
  return seconds;
}
