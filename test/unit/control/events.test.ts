import assert from 'node:assert/strict';
import { tellingLog } from '../../../src/control/event-sources.js';
import { EventHub } from '../../../src/control/events.js';
import type { CulvertEvent } from '../../../src/control/events.js';
import { notices } from '../../../src/gateway/log.js';

describe('events', () => {
  const seen = (hub: EventHub, after?: string): CulvertEvent[] => {
    const list: CulvertEvent[] = [];
    hub.listen(after, (event) => list.push(event));
    return list;
  };

  it('reach listeners in order, from when they listen', () => {
    const hub = new EventHub();
    hub.publish({ type: 'a' });
    const list = seen(hub);
    hub.publish({ type: 'b' });
    hub.publish({ type: 'c' });
    assert.deepEqual(
      list.map(({ type }) => type),
      ['b', 'c'],
    );
  });

  it('that a listener missed come first when it is back', () => {
    const hub = new EventHub();
    const first = seen(hub);
    for (const type of ['a', 'b', 'c']) hub.publish({ type });
    assert.deepEqual(
      seen(hub, first[0]!.id).map(({ type }) => type),
      ['b', 'c'],
    );
    assert.deepEqual(seen(hub, first[2]!.id), []);
  });

  it('that are no longer kept, or of another run, are told of as a gap', () => {
    const hub = new EventHub();
    const first = seen(hub);
    for (let i = 0; i <= 1001; i++) hub.publish({ type: String(i) });
    assert.deepEqual(
      seen(hub, first[0]!.id).map(({ type }) => type),
      ['gap'],
    );
    assert.equal(seen(hub, first[1]!.id).length, 1000);
    assert.deepEqual(
      seen(new EventHub(), first[0]!.id).map(({ type }) => type),
      ['gap'],
    );
    assert.deepEqual(
      seen(hub, 'nonsense').map(({ type }) => type),
      ['gap'],
    );
  });

  it('come from notices of the gateway, which are logged as well', () => {
    const hub = new EventHub();
    const list = seen(hub);
    const lines: string[] = [];
    const take = (message: string): void => void lines.push(message);
    const log = tellingLog({ info: take, warn: take, error: take }, hub);
    log.warn(notices.backendDown, { backend: '10.0.0.1' });
    log.warn(notices.portsRunOut, { service: 'web' });
    log.info(notices.drained, { service: 'web' });
    log.info('something else');
    assert.equal(lines.length, 4);
    assert.deepEqual(
      list.map(({ type, state, backend }) => [type, state, backend]),
      [
        ['backend', 'down', '10.0.0.1'],
        ['nat-ports', 'running-out', undefined],
        ['nat-drain', 'drained', undefined],
      ],
    );
  });
});
