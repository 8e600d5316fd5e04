import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { fit, LiveView } from '../../../src/cli/live-view.js';
import { octetsPerSecond, perSecond } from '../../../src/cli/columns.js';

describe('the live view', () => {
  class Terminal extends EventEmitter {
    rows = 4;
    columns = 10;
    written = '';
    write(text: string): void {
      this.written += text;
    }
  }

  it('fits a text into the terminal, and says when there is more', () => {
    assert.deepEqual(fit('one\ntwo\n', 4, 10), ['one', 'two']);
    assert.deepEqual(fit('1\n2\n3\n4\n', 4, 10), ['1', '2', '3', '4']);
    assert.deepEqual(fit('1\n2\n3\n4\n5\n', 4, 20), ['1', '2', '3', '... 2 more lines']);
    assert.deepEqual(fit('0123456789\n0123456789a', 4, 10), ['0123456789', '012345678>']);
  });

  it('draws over what it drew, again when the terminal changes, and gives the screen back', () => {
    const terminal = new Terminal();
    const before = process.listenerCount('SIGINT');
    const view = new LiveView(terminal as unknown as NodeJS.WriteStream);
    assert.equal(terminal.written, '\u001b[?1049h\u001b[?25l');
    terminal.written = '';
    view.draw('a\nb\n');
    assert.equal(terminal.written, '\u001b[Ha\u001b[K\nb\u001b[K\u001b[J');
    terminal.rows = 1;
    terminal.written = '';
    terminal.emit('resize');
    assert.equal(terminal.written, '\u001b[H... 2 mor>\u001b[K\u001b[J');
    terminal.written = '';
    view.close();
    assert.equal(terminal.written, '\u001b[?25h\u001b[?1049l');
    assert.equal(terminal.listenerCount('resize'), 0);
    assert.equal(terminal.listenerCount('error'), 1, 'also of what was written last');
    assert.equal(process.listenerCount('SIGINT'), before);
  });

  it('tells rates, and none of what was not there before', () => {
    assert.equal(perSecond(30, 10, 2), 10);
    assert.equal(perSecond(30, undefined, 2), 0);
    assert.equal(perSecond(1, 10, 2), 0, 'a counter that began anew');
    assert.equal(octetsPerSecond(4096, 0, 2), '2.0 KiB/s');
    assert.equal(octetsPerSecond(10, 0, 3), '3/s');
  });
});
