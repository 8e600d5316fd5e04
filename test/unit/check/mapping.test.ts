/** Which tuples are whose, by the check of a replay. */
import assert from 'node:assert/strict';
import { Mapping } from '../../../src/check/mapping.js';
import { Problems } from '../../../src/check/problems.js';

const TUPLE = '10.0.0.5:40000 to 10.0.0.4:443';
const [TCP, UDP] = [6, 17];

describe('the mapping, as the check of a replay sees it', () => {
  let problems: Problems;
  let mapping: Mapping;
  beforeEach(() => {
    problems = new Problems();
    mapping = new Mapping(problems);
  });
  const owners = { tcp: {}, udp: {} };
  const claim = (key: string, protocol: number, seconds: number): void => {
    mapping.claim(key, TUPLE, protocol === TCP ? owners.tcp : owners.udp, protocol, seconds * 1e6, 'OUT frame 1');
  };

  it('lets TCP and UDP of the same ports have tuples of their own, in turns', () => {
    for (let second = 0; second < 6; second += 2) {
      claim('TCP 198.18.0.1:1024 to 198.19.0.1:443', TCP, second);
      claim('UDP 198.18.0.1:2048 to 198.19.0.1:443', UDP, second + 1);
    }
    assert.deepEqual(problems.list(), []);
  });

  it('tells of one connection on two tuples, and of one that comes back', () => {
    claim('TCP 198.18.0.1:1024 to 198.19.0.1:443', TCP, 0);
    claim('TCP 198.18.0.1:2048 to 198.19.0.1:443', TCP, 1);
    claim('TCP 198.18.0.1:1024 to 198.19.0.1:443', TCP, 2);
    assert.deepEqual(
      problems.list().map(({ code, count }) => [code, count]),
      [['mapping-split', 2]],
    );
  });
});
